import { readFileSync } from "node:fs";
import type { Schema } from "../../vscode-extension/src/spec/specSchema.ts";

/** The published schema, as the extension is given it. */
export const schema = JSON.parse(
  readFileSync(new URL("../../env/spec/devshell.schema.json", import.meta.url), "utf8"),
) as Schema;
