import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareAnswers, messageOf } from "./compare.ts";
import { evaluateHere, type Answer } from "./evaluateHere.ts";
import { generateProgram } from "./generateProgram.ts";
import { mutate, survives } from "./mutate.ts";
import { evaluateByPeer, parseByPeer, writePrograms } from "./peer.ts";
import { Random } from "./random.ts";

const COUNT = 400;
const peer = process.env["PEER_NIX"];

const programs = generated(1, COUNT);
const directory = mkdtempSync(join(tmpdir(), "fuzz-"));
let answers: Answer[] = [];

beforeAll(() => {
  writePrograms({ directory, programs });
  answers = evaluateHere({ directory, programs });
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("generated programs", () => {
  it("are the same for the same seed", () => {
    expect(generated(1, 20)).toEqual(programs.slice(0, 20));
    expect(generated(2, 20)).not.toEqual(programs.slice(0, 20));
  });

  it("are of all kinds", () => {
    const failed = answers.filter(({ printed }) => messageOf(printed) !== undefined);
    const parsed = answers.filter(({ parsed: text }) => text !== undefined);
    expect(failed.length).toBeGreaterThan(COUNT / 10);
    expect(answers.length - failed.length).toBeGreaterThan(COUNT / 5);
    expect(parsed.length).toBeGreaterThan(COUNT / 2);
    expect(answers.length - parsed.length).toBeGreaterThan(COUNT / 20);
  });

  it.skipIf(peer === undefined)("give what Nix gives", { timeout: 300_000 }, async () => {
    const place = { directory, programs };
    const printed = await evaluateByPeer(peer!, place);
    const parsed = await parseByPeer(peer!, place, (index) => answers[index]!.parsed !== undefined);
    const differences = answers.flatMap((answer, index) => {
      const kind = compareAnswers(
        { here: answer.parsed, peer: parsed[index] },
        { here: answer.printed, peer: printed[index] ?? answer.printed },
      );
      return kind === undefined || kind === "report" ? [] : [{ kind, program: programs[index], ...answer }];
    });
    expect(differences).toEqual([]);
  });
});

describe("mutated programs", () => {
  it("parse, or fail with an error of the language", () => {
    const random = new Random(7);
    const outcomes = Array.from({ length: 1500 }, () =>
      survives(mutate(random, random.pick(programs), programs)),
    );
    expect(outcomes).toContain(true);
    expect(outcomes).toContain(false);
  });
});

function generated(seed: number, count: number): string[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => Buffer.from(generateProgram(random)).toString("latin1"));
}
