import { formatBytes } from "../tui/index.ts";
import type { ClosureNode } from "./closureModel.ts";
import { squarify, type Rectangle } from "./squarify.ts";

const WIDTH = 1600;
const HEIGHT = 1000;
const HEADING = 40;
/** Paths below this share of the whole are drawn as one. */
const SMALLEST_SHARE = 1 / 2000;
/** Letters at this size, and what a letter takes of it in width. */
const FONT_SIZE = 14;
const LETTER_WIDTH = 0.62;

interface Tile {
  readonly label: string;
  readonly detail: string;
  readonly sizeBytes: number;
  readonly fill: string;
}

/** A picture of what takes the room: a rectangle a path, as large as its files. */
export function treemapSvg(title: string, nodes: readonly ClosureNode[]): string {
  const tiles = tilesOf(nodes);
  const room: Rectangle = { x: 0, y: HEADING, width: WIDTH, height: HEIGHT - HEADING };
  const places = squarify(
    tiles.map(({ sizeBytes }) => sizeBytes),
    room,
  );
  const drawn = tiles.map((tile, index) => drawTile(tile, places[index] ?? room));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="${FONT_SIZE}">
<title>${escapeXml(title)}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<text x="8" y="26" font-size="20" fill="#222222">${escapeXml(title)}</text>
${drawn.join("")}</svg>
`;
}

/** Largest first; what would be too small to be seen is one tile. */
function tilesOf(nodes: readonly ClosureNode[]): readonly Tile[] {
  const total = nodes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const isShown = ({ sizeBytes }: ClosureNode): boolean =>
    sizeBytes > 0 && sizeBytes >= total * SMALLEST_SHARE;
  const tiles = nodes.filter(isShown).map((node): Tile => {
    const dead = node.isDead === true ? ", dead" : "";
    return {
      label: node.name,
      detail: `${node.path}\n${formatBytes(node.sizeBytes)}${dead}`,
      sizeBytes: node.sizeBytes,
      fill: node.isDead === true ? "#9a9a9a" : colourOf(node.name),
    };
  });
  const small = nodes.filter((node) => !isShown(node));
  const sizeBytes = small.reduce((sum, node) => sum + node.sizeBytes, 0);
  if (sizeBytes > 0)
    tiles.push({
      label: `${small.length} smaller`,
      detail: `${small.length} smaller paths\n${formatBytes(sizeBytes)}`,
      sizeBytes,
      fill: "#d0d0d0",
    });
  return tiles.toSorted((a, b) => b.sizeBytes - a.sizeBytes || (a.label < b.label ? -1 : 1));
}

function drawTile({ label, detail, sizeBytes, fill }: Tile, { x, y, width, height }: Rectangle): string {
  const lines =
    height < 2 * FONT_SIZE ? [] : [label, ...(height < 4 * FONT_SIZE ? [] : [formatBytes(sizeBytes)])];
  const letters = Math.floor((width - 8) / (FONT_SIZE * LETTER_WIDTH));
  const texts = lines
    .map((line) => (line.length <= letters ? line : letters < 4 ? "" : `${line.slice(0, letters - 1)}…`))
    .map((line, index) =>
      line === ""
        ? ""
        : `<text x="${round(x + 5)}" y="${round(y + FONT_SIZE * (1.3 + 1.3 * index))}" fill="#1a1a1a">${escapeXml(line)}</text>`,
    );
  return `<g><title>${escapeXml(detail)}</title><rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}" stroke="#ffffff" stroke-width="1"/>${texts.join("")}</g>
`;
}

/** One colour for all versions and outputs of a package. */
function colourOf(name: string): string {
  const bare = name.replace(/-\d.*$/, "");
  let hash = 0;
  for (const char of bare) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 360;
  return `hsl(${hash} 55% 72%)`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
