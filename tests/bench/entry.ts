import { cpSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { measure, runOnce, show, type Contender } from "./measure.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** Cold and warm entry of templates/c in a store of its own; cold includes every download. */
export function benchEntry(scratch: string): void {
  const project = join(scratch, "c");
  const home = join(scratch, "home");
  mkdirSync(home, { recursive: true });
  cpSync(join(ROOT, "templates/c"), project, { recursive: true });
  const run: Contender = {
    name: "devshell run -- true",
    argv: [join(ROOT, "cli/devshell"), "run", "--", "true"],
    cwd: project,
    env: { HOME: home, NIX_STORE_DIR: join(scratch, "store"), NIX_STATE_DIR: join(scratch, "state") },
  };
  console.log(`cold entry: ${show(runOnce(run))}`);
  console.log(`warm entry: ${show(measure(run, 15))}`);
}
