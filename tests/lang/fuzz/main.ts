// Generated and mutated programs:
//   sh scripts/node tests/lang/fuzz/main.ts compare FOLDER [SEED] [COUNT]   with a real Nix (PEER_NIX, a folder of programs)
//   sh scripts/node tests/lang/fuzz/main.ts mutate TREE [SEED] [COUNT]      mutated files of a tree, through the parser
// What differs is written into FOLDER, a file for each kind of difference.
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { compareAnswers } from "./compare.ts";
import { evaluateHere } from "./evaluateHere.ts";
import { generateProgram } from "./generateProgram.ts";
import { mutate, nixSources, survives } from "./mutate.ts";
import { evaluateByPeer, parseByPeer, writePrograms } from "./peer.ts";
import { Random } from "./random.ts";

const BATCH = 1000;
/** A parse that takes longer is reported; a file of this size takes a few milliseconds. */
const SLOW_MS = 1000;

const totals = new Map<string, number>();
const add = (name: string): void => void totals.set(name, (totals.get(name) ?? 0) + 1);

const [mode, where = "", seed = "1", count = "10000"] = process.argv.slice(2);
if (mode === "compare") await compareWithPeer(resolve(where));
else if (mode === "mutate") mutateTree(where);
else throw new Error("usage: main.ts compare FOLDER [SEED] [COUNT] | mutate TREE [SEED] [COUNT]");

async function compareWithPeer(folder: string): Promise<void> {
  const bin = process.env["PEER_NIX"];
  if (bin === undefined) throw new Error("PEER_NIX names no folder with a real Nix");
  mkdirSync(folder, { recursive: true });
  for (let first = 0; first < Number(count); first += BATCH) {
    const batchSeed = Number(seed) * 10_000 + first / BATCH;
    const size = Math.min(BATCH, Number(count) - first);
    await compareBatch(bin, folder, batchSeed, size);
    console.log(JSON.stringify(Object.fromEntries(totals)));
  }
}

async function compareBatch(bin: string, folder: string, batchSeed: number, size: number): Promise<void> {
  const random = new Random(batchSeed);
  const programs = Array.from({ length: size }, () =>
    Buffer.from(generateProgram(random)).toString("latin1"),
  );
  const place = { directory: join(folder, `batch-${batchSeed}`), programs };
  writePrograms(place);
  const answers = evaluateByPeer(bin, place);
  // Our own run holds this thread; the peer's goes on beside it once it has its input.
  await new Promise((done) => setTimeout(done, 10));
  const here = evaluateHere(place);
  const printed = await answers;
  const parsed = await parseByPeer(
    bin,
    place,
    (index) => here[index]!.parsed !== undefined || !/^error:/m.test(printed[index] ?? "error:"),
  );
  for (const [index, program] of programs.entries()) {
    add("programs");
    const peer = printed[index];
    if (peer === undefined) {
      add("peer fails");
      continue;
    }
    if (/^error:/m.test(peer)) add("errors");
    if (parsed[index] === undefined) add("do not parse");
    const own = here[index]!;
    const kind = compareAnswers({ here: own.parsed, peer: parsed[index] }, { here: own.printed, peer });
    if (kind === undefined) continue;
    add(`differ in ${kind}`);
    const parts = [`### ${batchSeed} ${index}`, program];
    if (kind === "parse")
      parts.push("--- parsed here", own.parsed ?? "(fails)", "--- parsed by Nix", parsed[index] ?? "(fails)");
    parts.push("--- here", own.printed, "--- Nix", peer, "", "");
    appendFileSync(join(folder, kind), parts.join("\n"), "latin1");
  }
  rmSync(place.directory, { recursive: true });
}

function mutateTree(tree: string): void {
  const sources = nixSources(tree, 2000);
  const random = new Random(Number(seed));
  for (let i = 1; i <= Number(count); i++) {
    const text = mutate(random, random.pick(sources), sources);
    const start = performance.now();
    add(survives(text) ? "parse" : "fail");
    const took = performance.now() - start;
    if (took > SLOW_MS) {
      add("slow");
      console.log(`slow: ${took.toFixed(0)} ms for ${text.length} bytes, number ${i}`);
    }
    if (i % BATCH === 0) console.log(JSON.stringify(Object.fromEntries(totals)));
  }
}
