import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { derivationKind } from "../../../store/format/derivation.ts";
import { DerivationHasher, checkOutputPaths } from "../../../store/format/derivationHasher.ts";
import { parseDerivation } from "../../../store/format/parseDerivation.ts";
import { derivationPath, printDerivation } from "../../../store/format/printDerivation.ts";
import type { FuzzTarget } from "./target.ts";

const STORE_DIR = "/nix/store";
const GOLDEN = join(import.meta.dirname, "../golden/drv");
const ABSENT = new DevshellError("STORE_PATH_NOT_VALID", "there is no such derivation");

export function makeTarget(): FuzzTarget {
  const corpus = readdirSync(GOLDEN)
    .filter((name) => name.endsWith(".drv"))
    .map((name) => readFileSync(join(GOLDEN, name)))
    .filter((bytes) => bytes.length < 20_000);
  const hash = "a".repeat(32);
  const dynamic = `DrvWithVersion("xp-dyn-drv",[("out","","","")],[("${STORE_DIR}/${hash}-a.drv",(["out"],[("b",(["c"],[]))]))],[],"x","y",[],[("a","b")])`;
  return {
    corpus: [...corpus, Buffer.from(dynamic)],
    tokens: [
      "Derive(",
      'DrvWithVersion("xp-dyn-drv",',
      "[",
      "]",
      "(",
      ")",
      ",",
      '"',
      '""',
      "\\",
      "\\n",
      '\\"',
      "[]",
      "()",

      '("out","","","")',
      '"r:sha256"',
      '"impure"',
      '"text:sha256"',
      '"git:sha1"',
      `"${STORE_DIR}/${hash}-x"`,
      "a".repeat(300),
      "\0",
      "\xff",
      '([],[("out",',
      '(["out"],[])',
    ].map((text) => Buffer.from(text, "latin1")),
    run: (input) => {
      const derivation = parseDerivation(STORE_DIR, "name", input.toString("latin1"));
      const printed = printDerivation(derivation);
      const again = printDerivation(parseDerivation(STORE_DIR, "name", printed));
      if (again !== printed) throw new Error(`printed ${printed}, read and printed anew ${again}`);
      derivationPath(STORE_DIR, derivation);
      derivationKind(derivation);
      const hasher = new DerivationHasher(STORE_DIR, () => {
        throw ABSENT;
      });
      checkOutputPaths(derivation, hasher);
    },
  };
}
