import { rmSync } from "node:fs";
import { join } from "node:path";
import type { StoreBench } from "./storeBench.ts";

/** Trees and files added to a store: new ones, and such as are there already; exported and imported. */
export function benchAdding(bench: StoreBench): void {
  const clear = (): void => bench.clear();
  const many = bench.manyFiles();
  bench.report({ name: "add 20,000 files", words: ["nix-store", "--add", many], prepare: clear });
  bench.report({ name: "add 20,000 files that are there", words: ["nix-store", "--add", many] });
  rmSync(many, { recursive: true });
  const large = bench.largeFile();
  bench.report({
    name: "add 1 GB flat",
    words: ["nix-store", "--add-fixed", "sha256", large],
    prepare: clear,
  });
  bench.report({ name: "add 1 GB", words: ["nix-store", "--add", large], prepare: clear });
  bench.report({ name: "add 1 GB that is there", words: ["nix-store", "--add", large] });
  const path = bench.run(["nix-store", "--add", large]).trim();
  rmSync(large);
  const dump = join(bench.place, "export");
  bench.report({ name: "export 1 GB", words: ["nix-store", "--export", path], output: dump });
  bench.report({ name: "import 1 GB", words: ["nix-store", "--import"], input: dump, prepare: clear });
  rmSync(dump);
  clear();
}
