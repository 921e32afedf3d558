import { clipRow, formatBytes, type Row, type RowTone } from "../tui/index.ts";
import { nodesShown, placeOf, type BrowserState } from "./browserState.ts";
import type { ClosureModel, ClosureNode } from "./closureModel.ts";

const BAR_COLUMNS = 10;
const KEYS = "↑↓ move  → what it needs  ← back  r what needs it  s sort  / filter  q quit";
/** Heading, path, and the two lines below the list. */
const FRAME_LINES = 4;

/** The browser as lines that fill a terminal. */
export function browserRows(
  model: ClosureModel,
  state: BrowserState,
  room: { readonly columns: number; readonly rows: number },
): Row[] {
  const nodes = nodesShown(model, state);
  const { selected } = placeOf(state);
  const height = Math.max(1, room.rows - FRAME_LINES);
  const from = Math.max(0, Math.min(selected - Math.floor(height / 2), nodes.length - height));
  const shown = nodes.slice(from, from + height);
  const largest = Math.max(1, ...nodes.map((node) => node.sizeBytes));
  const lines = shown.map((node, index) => nodeRow(model, node, from + index === selected, largest));
  while (lines.length < height) lines.push(row(`empty${lines.length}`));
  const node = nodes[selected];
  return [
    row("title", ["strong", titleOf(model, state)]),
    row("count", ["dim", countOf(model, nodes, state)]),
    ...lines,
    row("path", ["plain", node === undefined ? "" : node.path]),
    row(
      "keys",
      state.isFiltering
        ? ["busy", `/${state.filter}▏`]
        : ["dim", state.filter === "" ? KEYS : `/${state.filter}  ${KEYS}`],
    ),
  ].map((line) => clipRow(line, room.columns));
}

function titleOf(model: ClosureModel, state: BrowserState): string {
  const steps = state.trail.map(({ kind, path }) => {
    const name = path === undefined ? "" : (model.node(path)?.name ?? "");
    return kind === "all" ? "closure" : `${kind === "needs" ? "→" : "←"} ${name}`;
  });
  return steps.join(" ");
}

function countOf(model: ClosureModel, nodes: readonly ClosureNode[], { order }: BrowserState): string {
  const sum = nodes.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  return `${nodes.length} path${nodes.length === 1 ? "" : "s"}, ${formatBytes(sum)} of ${formatBytes(model.totalBytes)}, by ${order}`;
}

function nodeRow(model: ClosureModel, node: ClosureNode, isSelected: boolean, largest: number): Row {
  const { path, name, sizeBytes, isDead } = node;
  const filled = Math.round((BAR_COLUMNS * sizeBytes) / largest);
  const needs = model.referencesOf(path).length;
  return row(
    path,
    [isSelected ? "busy" : "plain", isSelected ? "❯ " : "  "],
    ["plain", formatBytes(sizeBytes).padStart(8)],
    ["good", ` ${"█".repeat(filled)}${" ".repeat(BAR_COLUMNS - filled)} `],
    ["dim", `${formatBytes(model.closureBytesOf(path)).padStart(8)}  `],
    [isSelected ? "strong" : isDead === true ? "bad" : "plain", name],
    ["dim", needs === 0 ? "" : `  → ${needs}`],
    ["bad", isDead === true ? "  dead" : ""],
  );
}

function row(key: string, ...parts: readonly (readonly [RowTone, string])[]): Row {
  // An empty line is a line only if something stands in it.
  const given = parts.length === 0 ? ([["plain", " "]] as const) : parts;
  return { key, parts: given.map(([tone, text]) => ({ tone, text })) };
}
