import { forgetRegistered, registerPaths } from "./registeredPaths.ts";
import type { StoreBench } from "./storeBench.ts";

/** 100,000 paths collected, optimised and verified. */
export function benchCollecting(bench: StoreBench): void {
  const registered = registerPaths(bench, bench.count(100_000));
  const prepare = (): void => registered.restore();
  prepare();
  bench.report({ name: "dead paths among 100,000", words: ["nix-store", "--gc", "--print-dead"] });
  bench.report({ name: "collect 100,000 paths", words: ["nix-store", "--gc"], prepare });
  bench.report({ name: "optimise 100,000 paths", words: ["nix-store", "--optimise"], prepare });
  bench.report({ name: "optimise what is optimised", words: ["nix-store", "--optimise"] });
  registered.restore();
  bench.report({ name: "verify 100,000 paths", words: ["nix-store", "--verify", "--check-contents"] });
  forgetRegistered(bench);
}
