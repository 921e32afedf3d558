import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoreBench } from "./storeBench.ts";

/** 1,000 builds that do next to nothing, two at a time; without a sandbox, whose own `/dev/shm` would hide the store. */
export function benchBuilds(bench: StoreBench): void {
  const file = join(bench.place, "builds.nix");
  const build = (name: string, script: string): string =>
    `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "${script}" ]; }`;
  writeFileSync(
    file,
    `let
  trivial = i: ${build("trivial-${toString i}", "echo ${toString i} > $out")};
  all = builtins.genList trivial ${bench.count(1000)};
in ${build("all", "echo ${toString all} > $out")}
`,
  );
  const words = ["nix-build", file, "--no-out-link", "--max-jobs", "2"] as const;
  bench.report({ name: "1,000 builds", words: [...words], prepare: () => bench.clear() });
  bench.report({ name: "1,000 builds that are there", words: [...words] });
  bench.clear();
}
