import { Box, Text } from "ink";
import type { Row, RowTone } from "./rows.ts";

const TONE: Record<RowTone, { color?: string; dimColor?: boolean; bold?: boolean }> = {
  plain: {},
  dim: { dimColor: true },
  good: { color: "green" },
  bad: { color: "red" },
  busy: { color: "cyan" },
  strong: { bold: true },
};

/** Draws rows; what they say is `rowsOf`'s business. */
export function BuildTree({ rows }: { readonly rows: readonly Row[] }) {
  return (
    <Box flexDirection="column">
      {rows.map((row) => (
        <Text key={row.key} wrap="truncate-end">
          {row.parts.map((part, index) => (
            <Text key={index} {...TONE[part.tone]}>
              {part.text}
            </Text>
          ))}
        </Text>
      ))}
    </Box>
  );
}
