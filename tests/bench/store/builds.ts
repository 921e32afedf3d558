import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoreBench } from "./storeBench.ts";

/** 1,000 builds that do next to nothing, two at a time. */
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
  const prepare = (): void => bench.clear();
  bench.report({ name: "1,000 builds", words: [...words], prepare });
  bench.report({ name: "1,000 builds that are there", words: [...words] });
  bench.report({
    name: "100 builds in a sandbox",
    words: ["nix-build", "--no-out-link", "--max-jobs", "2", "-E", sandboxed(bench.count(100))],
    prepare,
    options: ["sandbox = true", "sandbox-paths = /bin /lib /lib64 /usr"],
  });
  bench.clear();
}

function sandboxed(count: number): string {
  const build = (name: string, script: string): string =>
    `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "${script}" ]; }`;
  return `let all = builtins.genList (i: ${build("s-${toString i}", "echo ${toString i} > $out")}) ${count};
    in ${build("all", "echo ${toString all} > $out")}`;
}
