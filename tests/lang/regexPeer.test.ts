import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Regex, RegexError } from "../../lang/builtins/regex/regex.ts";
import { PEER_NIX, askPeerAll } from "./support/peer.ts";

const atom = fc.oneof(
  fc.constantFrom("a", "b", "c", ".", "x", "^", "$", "\\.", "\\*", "\\\\", "\\{", "]", "}", "()"),
  fc.constantFrom(
    "[ab]",
    "[^a]",
    "[a-c]",
    "[]a]",
    "[a-]",
    "[a^]",
    "[[:alpha:]]",
    "[^[:digit:]b]",
    "[[.a.]b]",
  ),
  fc.constantFrom("[[=a=]]", "[a\\]", "[[:w:]]", "[[:punct:]]", "{", "+", "(", "[b-a]", "\\1", "a{2,1}"),
);
const repetition = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}");
const { pattern } = fc.letrec<{ pattern: string; sequence: string; part: string }>((tie) => ({
  pattern: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|")),
  sequence: fc.array(tie("part"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
  part: fc
    .tuple(
      fc.oneof(
        { maxDepth: 3 },
        atom,
        tie("pattern").map((inner) => `(${inner})`),
      ),
      repetition,
    )
    .map((parts) => parts.join("")),
}));
const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "x", ".", "]", "A", "\n"), maxLength: 8 });

function own(regex: Regex, subject: string, isSplit: boolean): string {
  const shown = (groups: readonly (string | undefined)[]) => groups.map((group) => group ?? null);
  if (!isSplit) {
    const groups = regex.matchWhole(subject);
    return JSON.stringify(groups === undefined ? null : shown(groups));
  }
  const parts: unknown[] = [];
  let last = 0;
  regex.forEachMatch(subject, (start, end, groups) => {
    parts.push(subject.slice(last, start), shown(groups));
    last = end;
  });
  return JSON.stringify([...parts, subject.slice(last)]);
}

function quoted(string: string): string {
  return `"${string.replaceAll(/["\\$]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

describe.skipIf(PEER_NIX === undefined)("random regular expressions", () => {
  it("match, split and fail as in real Nix", { timeout: 1_800_000 }, () => {
    const cases = fc.sample(fc.tuple(pattern, text, fc.boolean()), { numRuns: 3000, seed: 7 });
    const valid: [expression: string, answer: string][] = [];
    const invalid: string[] = [];
    for (const [source, subject, isSplit] of cases) {
      const call = `builtins.${isSplit ? "split" : "match"} ${quoted(source)} ${quoted(subject)}`;
      try {
        valid.push([call, own(new Regex(source), subject, isSplit)]);
      } catch (error) {
        if (!(error instanceof RegexError)) throw error;
        invalid.push(call);
      }
    }
    const answers = askPeerAll(valid.map(([call]) => call)).map(({ value, error }) => value ?? error);
    expect(valid.map(([call], i) => [call, answers[i]])).toEqual(valid);
    for (const call of invalid.slice(0, 200)) {
      const [answer] = askPeerAll([call]);
      expect([call, answer?.error]).toEqual([call, expect.stringMatching(/^invalid regular expression/)]);
    }
  });
});
