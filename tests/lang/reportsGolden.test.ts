import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesOfText, DevshellError, formatError, textOfBytes } from "../../core/index.ts";
import { createEvaluator } from "../../lang/index.ts";
import { PEER_NIX, askPeerReport } from "./support/peer.ts";
import { TestHost } from "./support/testHost.ts";

/** An expression after `=== `, then all that Nix says to it, with its whole trace. */
const CASES = readFileSync(join(import.meta.dirname, "golden/reports.txt"), "utf8")
  .split(/^=== /m)
  .slice(1)
  .map((part) => {
    const end = part.indexOf("\n");
    return [part.slice(0, end), part.slice(end + 1).trimEnd()] as [expression: string, report: string];
  });
const FEATURES = new Set(["flakes", "fetch-tree", "fetch-closure", "dynamic-derivations"]);

function reportOf(expression: string): string {
  const host = new TestHost();
  const text = bytesOfText(expression);
  try {
    const evaluator = createEvaluator(host, { features: FEATURES, showTrace: true });
    evaluator.forceDeep(evaluator.evalText(text, "/base", { kind: "string", text }));
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    const report = formatError(error, { showTrace: true }).replace(/\n *hint: .*/g, "");
    return [...host.messages.map(textOfBytes), report].join("\n").trimEnd();
  }
  throw new Error(`does not fail: ${expression}`);
}

describe("the reports of what fails", () => {
  it("are of many kinds", () => {
    expect(CASES.length).toBeGreaterThan(100);
  });

  it.each(CASES)("%s", (expression, report) => {
    expect(reportOf(expression)).toBe(report);
  });

  it.skipIf(PEER_NIX === undefined)("are the peer's", { timeout: 1_800_000 }, () => {
    for (const [expression, report] of CASES)
      expect([expression, askPeerReport(expression)]).toEqual([expression, report]);
  });
});
