import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { StoreBench } from "./storeBench.ts";

const COMPRESSIONS = ["xz", "zstd", "none"] as const;

/** Binary caches written and substituted from, in a directory and over HTTP: 2,000 tiny paths, and one of 1 GB. */
export async function benchCaches(bench: StoreBench): Promise<void> {
  const caches = join(bench.place, "caches");
  await using server = await serve(caches);
  const tiny = makeTinyPaths(bench);
  benchCopies(bench, caches, "2,000 tiny paths", COMPRESSIONS);
  for (const compression of COMPRESSIONS) keep(bench, caches, "tiny", compression);
  for (const [where, base] of [
    ["a directory", `file://${caches}`],
    ["HTTP", server.url],
  ] as const)
    for (const compression of COMPRESSIONS)
      benchSubstitution(
        bench,
        `2,000 tiny paths, ${compression}, from ${where}`,
        `${base}/tiny-${compression}`,
        tiny,
      );
  bench.clear();
  const file = bench.largeFile();
  const large = bench.run(["nix-store", "--add", file]).trim();
  rmSync(file);
  benchCopies(bench, caches, "1 GB", ["zstd", "none"]);
  for (const compression of ["zstd", "none"]) keep(bench, caches, "large", compression);
  for (const [where, base] of [
    ["a directory", `file://${caches}`],
    ["HTTP", server.url],
  ] as const)
    for (const compression of ["zstd", "none"])
      benchSubstitution(bench, `1 GB, ${compression}, from ${where}`, `${base}/large-${compression}`, [
        large,
      ]);
  bench.clear();
  rmSync(caches, { recursive: true });
}

/** Texts of half a kilobyte, each but the first referring to another. */
function makeTinyPaths(bench: StoreBench): string[] {
  bench.clear();
  const count = bench.count(2000);
  const expression = `let
    text = i: builtins.concatStringsSep " " (builtins.genList (n: toString (n * n + i)) 80);
    path = i: builtins.toFile "tiny-\${toString i}" (text i + (if i == 0 then "" else builtins.elemAt paths (i / 2)));
    paths = builtins.genList path ${count};
  in builtins.toJSON (map builtins.unsafeDiscardStringContext paths)`;
  const words = ["nix-instantiate", "--eval", "--read-write-mode", "--json", "-E", expression] as const;
  return JSON.parse(JSON.parse(bench.run(words)) as string) as string[];
}

/** Leaves what the store holds in a cache for those who substitute. */
function keep(bench: StoreBench, caches: string, name: string, compression: string): void {
  const url = `file://${join(caches, `${name}-${compression}`)}?compression=${compression}`;
  bench.run(["nix", "copy", "--all", "--no-check-sigs", "--to", url], { isPeer: true });
}

function benchCopies(bench: StoreBench, caches: string, name: string, compressions: readonly string[]): void {
  const directory = join(caches, "copy");
  for (const compression of compressions)
    bench.report({
      name: `copy ${name} to a directory, ${compression}`,
      words: [
        "nix",
        "copy",
        "--all",
        "--no-check-sigs",
        "--to",
        `file://${directory}?compression=${compression}`,
      ],
      prepare: () => {
        rmSync(directory, { recursive: true, force: true });
        bench.forgetCaches();
      },
    });
  rmSync(directory, { recursive: true, force: true });
}

function benchSubstitution(bench: StoreBench, name: string, url: string, paths: readonly string[]): void {
  bench.report({
    name: `substitute ${name}`,
    words: ["nix-store", "--realise", ...paths],
    prepare: () => bench.clear(),
    options: [`substituters = ${url}`, "require-sigs = false"],
  });
}

/** A process of its own: the benchmark waits for what it times. */
async function serve(directory: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, "serveFiles.ts"), directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  return {
    url: String(line.value),
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, "exit");
      child.kill();
      await exited;
    },
  };
}
