import type { ByteString } from "../../../core/index.ts";

/** Rows of as many columns each, aligned; a line each. */
export function printTable(rows: readonly (readonly ByteString[])[]): ByteString {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  );
  const last = widths.length - 1;
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const line = cell.replaceAll("\n", " ");
        return column < last ? line.padEnd((widths[column] ?? 0) + 2) : line;
      });
      return `${cells.join("")}\n`;
    })
    .join("");
}
