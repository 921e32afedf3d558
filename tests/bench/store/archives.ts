import { rmSync } from "node:fs";
import { join } from "node:path";
import type { StoreBench } from "./storeBench.ts";

/** NARs written, unpacked and hashed: of many small files, of a large one. */
export function benchArchives(bench: StoreBench): void {
  const target = join(bench.place, "unpacked");
  const nar = join(bench.place, "nar");
  const remove = (path: string): void => rmSync(path, { recursive: true, force: true });
  for (const [name, make] of [
    ["20,000 files", () => bench.manyFiles()],
    ["1 GB", () => bench.largeFile()],
  ] as const) {
    const source = make();
    bench.report({ name: `dump ${name}`, words: ["nix-store", "--dump", source] });
    bench.report({ name: `hash ${name}`, words: ["nix-hash", "--type", "sha256", source] });
    bench.run(["nix-store", "--dump", source], { output: nar });
    remove(source);
    bench.report({
      name: `restore ${name}`,
      words: ["nix-store", "--restore", target],
      input: nar,
      prepare: () => remove(target),
    });
    remove(target);
    remove(nar);
  }
}
