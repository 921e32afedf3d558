import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import { PrimOp, createEvaluator, printAmbiguous } from "../../lang/index.ts";
import { PEER_NIX, askPeer } from "./support/peer.ts";
import { TestHost } from "./support/testHost.ts";

const CASES = readFileSync(join(import.meta.dirname, "golden/builtinCalls.txt"), "utf8")
  .split("\n\n")
  .slice(1)
  .map((part) => part.trimEnd().split("\n") as [call: string, answer: string]);
const FEATURES = new Set(["flakes", "fetch-tree", "fetch-closure", "dynamic-derivations"]);

/** Those that need files, a network or a store, or that differ from run to run: they have tests of their own. */
const ELSEWHERE = new Set(
  "break currentTime derivationStrict fetchGit fetchMercurial fetchTarball fetchTree fetchurl filterSource fromTOML getFlake path storePath".split(
    " ",
  ),
);

function answerOf(call: string): string {
  try {
    const evaluator = createEvaluator(new TestHost(), { features: FEATURES });
    const text = bytesOfText(`with builtins; ${call}`);
    const value = evaluator.forceDeep(evaluator.evalText(text, "/base", { kind: "string", text }));
    return textOfBytes(printAmbiguous(value));
  } catch (error) {
    if (error instanceof DevshellError) return `error: ${textOfBytes(error.message).split("\n")[0]}`;
    throw error;
  }
}

describe("builtins called with anything", () => {
  it("are all of Nix's", () => {
    const { builtins } = createEvaluator(new TestHost(), { features: FEATURES }).runtime;
    const names = builtins.sortedNames().filter((name) => builtins.get(name) instanceof PrimOp);
    const called = new Set(CASES.map(([call]) => call.slice(0, call.indexOf(" "))));
    expect(names.filter((name) => !called.has(name) && !ELSEWHERE.has(name))).toEqual([]);
    expect(CASES.filter(([, answer]) => answer.startsWith("error: ")).length).toBeGreaterThan(200);
  });

  it.each(CASES)("%s", (call, answer) => {
    expect(answerOf(call)).toBe(answer);
  });

  it.skipIf(PEER_NIX === undefined)("give what the peer gives", { timeout: 1_800_000 }, () => {
    for (const [call, answer] of CASES) {
      const { value, error = "" } = askPeer(bytesOfText(`with builtins; ${call}`));
      const given = value ?? `error: ${error.split("\n")[0]}`;
      expect([call, textOfBytes(given)]).toEqual([call, answer]);
    }
  });
});
