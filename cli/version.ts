import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../core/index.ts";

/** The package's own. */
export function version(): string {
  const json = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  return json.version;
}
