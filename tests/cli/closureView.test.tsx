import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { browserRows } from "../../cli/closure/browserRows.ts";
import {
  START,
  nodesShown,
  reduceBrowser,
  type BrowserAction,
  type BrowserState,
} from "../../cli/closure/browserState.ts";
import { ClosureModel, type ClosureNode } from "../../cli/closure/closureModel.ts";
import { squarify, type Rectangle } from "../../cli/closure/squarify.ts";
import { treemapSvg } from "../../cli/closure/treemapSvg.ts";
import { BuildTree } from "../../cli/tui/BuildTree.tsx";

const node = (name: string, sizeBytes: number, references: readonly string[] = []): ClosureNode => ({
  path: `/nix/store/${name}`,
  name,
  sizeBytes,
  references: references.map((reference) => `/nix/store/${reference}`),
});

const MODEL = new ClosureModel(
  [
    node("tool-1", 4_000_000, ["libc-2", "zlib-1", "tool-1"]),
    node("zlib-1", 500_000, ["libc-2"]),
    node("libc-2", 30_000_000),
    { ...node("old-9", 1000, ["libc-2"]), isDead: true },
  ],
  ["/nix/store/tool-1"],
);

const after = (...actions: BrowserAction[]): BrowserState =>
  actions.reduce((state, action) => reduceBrowser(MODEL, state, action), START);
const names = (state: BrowserState): string[] => nodesShown(MODEL, state).map(({ name }) => name);
const text = (state: BrowserState, columns = 80, rows = 9): string =>
  renderToString(<BuildTree rows={browserRows(MODEL, state, { columns, rows })} />, { columns });

describe("the closure browser", () => {
  it("walks from a path to what it needs, to what needs it, and back", () => {
    expect(names(START)).toEqual(["libc-2", "tool-1", "zlib-1", "old-9"]);
    const inTool = after({ kind: "move", by: 1 }, { kind: "enter", direction: "needs" });
    expect(names(inTool)).toEqual(["libc-2", "zlib-1"]);
    const aroundLibc = reduceBrowser(MODEL, inTool, { kind: "enter", direction: "needed by" });
    expect(names(aroundLibc)).toEqual(["tool-1", "zlib-1", "old-9"]);
    expect(reduceBrowser(MODEL, aroundLibc, { kind: "back" })).toEqual(inTool);
    expect(after({ kind: "back" })).toEqual(START);
  });

  it("sorts, and shows only names that contain what is typed", () => {
    expect(names(after({ kind: "sort" }))).toEqual(["tool-1", "zlib-1", "old-9", "libc-2"]);
    expect(names(after({ kind: "sort" }, { kind: "sort" }))).toEqual(["libc-2", "old-9", "tool-1", "zlib-1"]);
    const typed = after({ kind: "startFilter" }, { kind: "type", text: "Li" }, { kind: "type", text: "x" });
    expect(names(typed)).toEqual([]);
    expect(names(reduceBrowser(MODEL, typed, { kind: "erase" }))).toEqual(["libc-2", "zlib-1"]);
    expect(names(reduceBrowser(MODEL, typed, { kind: "endFilter", isKept: false }))).toHaveLength(4);
  });

  it("keeps the selection on the list, which scrolls with it", () => {
    expect(text(after({ kind: "move", by: -Infinity }))).toContain("❯ ");
    const last = text(after({ kind: "move", by: Infinity }), 80, 6);
    expect(last).toContain("❯");
    expect(last).toMatch(/old-9.*dead/);
    expect(last).not.toContain("libc-2  ");
    expect(last).toContain("/nix/store/old-9");
  });

  it("draws sizes, bars and where one is, within the terminal", () => {
    const drawn = text(after({ kind: "move", by: 1 }));
    expect(drawn.split("\n")).toHaveLength(9);
    expect(drawn).toMatch(
      /^closure\n4 paths, 34\.5 MB of 34\.5 MB, by own size\n {3}30\.0 MB ██████████ {2}30\.0 MB {2}libc-2/,
    );
    expect(drawn).toMatch(/❯ +4\.0 MB █ +34\.5 MB {2}tool-1 {2}→ 2/);
    for (const line of text(START, 30).split("\n")) expect(line.length).toBeLessThanOrEqual(30);
  });
});

const area = ({ width, height }: Rectangle): number => width * height;
const overlap = (a: Rectangle, b: Rectangle): number =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));

describe("a treemap", () => {
  it("fills the room with rectangles as large as their weights, none over another", () => {
    const room = { x: 10, y: 20, width: 600, height: 400 };
    const weights = [600, 600, 400, 300, 200, 200, 100, 3, 1];
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const places = squarify(weights, room);
    places.forEach((place, index) => {
      expect(area(place)).toBeCloseTo((area(room) * (weights[index] ?? 0)) / total, 3);
      expect(overlap(place, room)).toBeCloseTo(area(place), 3);
      for (const other of places.slice(0, index)) expect(overlap(place, other)).toBeCloseTo(0, 3);
    });
    // Near to squares: the plain slices would be 1:6 and worse.
    for (const { width, height } of places.slice(0, 7))
      expect(Math.max(width / height, height / width)).toBeLessThan(3);
    expect(squarify([], room)).toEqual([]);
  });

  it("is an SVG picture with a label and a tooltip for each path, the small ones as one", () => {
    const svg = treemapSvg('all of "it"', [...MODEL.all(), node("a<b>&c-1", 9_000_000), node("empty", 0)]);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 1600 1000"/);
    expect(svg).toContain("<title>all of &quot;it&quot;</title>");
    expect(svg).toContain("<title>/nix/store/libc-2\n30.0 MB</title>");
    expect(svg).toContain(">a&lt;b&gt;&amp;c-1</text>");
    expect(svg).toContain("2 smaller");
    expect(svg.match(/<g>/g)).toHaveLength(5);
    expect(svg).not.toMatch(/NaN|Infinity|width="-/);
  });
});
