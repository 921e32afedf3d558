import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { benchDebian } from "./debian.ts";
import { benchEntry } from "./entry.ts";
import { benchEval } from "./eval.ts";
import { benchEvalCache } from "./evalCache.ts";
import { benchNixpkgs } from "./nixpkgs.ts";
import { benchServe } from "./serve.ts";
import { benchStore } from "./store.ts";
import { benchView } from "./view.ts";

/** `npm run bench [-- NAME…]`: each benchmark prints its own figures; medians of paired runs, ratios to real Nix. */
const BENCHMARKS: Readonly<Record<string, (scratch: string) => void | Promise<void>>> = {
  eval: benchEval,
  nixpkgs: benchNixpkgs,
  "eval-cache": benchEvalCache,
  entry: benchEntry,
  store: benchStore,
  serve: benchServe,
  debian: benchDebian,
  view: benchView,
};

const names = process.argv.slice(2);
for (const name of names)
  if (!Object.hasOwn(BENCHMARKS, name)) {
    console.error(`bench: no benchmark "${name}"; there are: ${Object.keys(BENCHMARKS).join(", ")}`);
    process.exit(1);
  }

const scratch = mkdtempSync(join(tmpdir(), "devshell-bench-"));
try {
  for (const [name, run] of Object.entries(BENCHMARKS)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`## ${name}`);
    await run(scratch);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
