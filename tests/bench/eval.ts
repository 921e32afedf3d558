import { writeFileSync, copyFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { compare, geomean, measure, show, type Contender } from "./measure.ts";
import { findPeerNix } from "./peer.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../cli/devshell");
const MICRO = join(import.meta.dirname, "micro");

/** The nine micro programs, as whole processes, no cache on either side; `deep` is run for us alone. */
export function benchEval(scratch: string): void {
  const peer = findPeerNix(scratch);
  for (const file of readdirSync(MICRO)) copyFileSync(join(MICRO, file), join(scratch, file));
  writeFileSync(join(scratch, "big.json"), bigJson());
  const ratios: number[] = [];
  for (const file of readdirSync(MICRO).toSorted()) {
    const ours: Contender = {
      name: `devshell eval ${file}`,
      argv: [LAUNCHER, "eval", "-f", join(scratch, file)],
      env: { DEVSHELL_EVAL_CACHE: "off", HOME: scratch },
    };
    if (peer === undefined || file === "deep.nix") {
      console.log(`${file}: ${show(measure(ours))}`);
      continue;
    }
    const theirs: Contender = {
      name: `nix-instantiate --eval ${file}`,
      argv: [join(peer.bin, "nix-instantiate"), "--eval", join(scratch, file)],
      env: peer.env,
    };
    const result = compare(ours, theirs);
    ratios.push(result.ratio);
    console.log(`${file}: ${result.ratio.toFixed(2)} (${show(result.a)} : ${show(result.b)})`);
  }
  if (ratios.length > 0) console.log(`geometric mean of ${ratios.length}: ${geomean(ratios).toFixed(2)}`);
  else console.log("no real Nix found (PEER_NIX): no ratios");
}

/** About 10 MB of nested records, the same every time. */
function bigJson(): string {
  const records = Array.from({ length: 60_000 }, (_, i) => ({
    id: i,
    name: `package-${i}`,
    version: `${i % 17}.${i % 31}.${i % 7}`,
    score: i / 7,
    tags: [`t${i % 13}`, `u${i % 29}`],
    nested: { a: i % 2 === 0, b: null, c: `text "${i}" \\ with \n escapes` },
  }));
  return JSON.stringify(records);
}
