import { forgetRegistered, registerPaths } from "./registeredPaths.ts";
import type { StoreBench } from "./storeBench.ts";

/** Questions to a database of 100,000 paths. */
export function benchQueries(bench: StoreBench): void {
  const { paths } = registerPaths(bench, bench.count(100_000));
  const [first = "", last = ""] = [paths[0], paths.at(-1)];
  bench.report({ name: "references of one path", words: ["nix-store", "--query", "--references", last] });
  bench.report({ name: "closure of 100,000", words: ["nix-store", "--query", "--requisites", last] });
  bench.report({
    name: "referrers' closure of 100,000",
    words: ["nix-store", "--query", "--referrers-closure", first],
  });
  bench.report({ name: "what is known of 100,000", words: ["nix", "path-info", "--all", "--size"] });
  bench.report({
    name: "the same in JSON",
    words: ["nix", "path-info", "--all", "--json", "--json-format", "2"],
  });
  bench.report({ name: "size of a closure of 100,000", words: ["nix", "path-info", "--closure-size", last] });
  forgetRegistered(bench);
}
