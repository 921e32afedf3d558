import { readFileSync, readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { parseHash } from "../../../core/index.ts";
import { formatContentAddress, parseContentAddress } from "../../../store/format/contentAddress.ts";
import { parseNarInfo, parsePublicKey, printNarInfo, verifyText } from "../../../store/format/narInfo.ts";
import { parseDrvOutput, parseRealisation, printRealisation } from "../../../store/format/realisation.ts";
import { parseStorePath } from "../../../store/format/storePath.ts";
import { parseCacheInfo } from "../../../store/remote/binaryCache/cacheInfo.ts";
import type { StorePath } from "../../../store/types.ts";
import { FIXTURES, PUBLIC_KEY } from "../remote/binaryCache/cacheFixture.ts";
import type { FuzzTarget } from "./target.ts";

const STORE_DIR = "/nix/store";
const KEY = { drvPath: `${STORE_DIR}/${"0".repeat(32)}-x.drv` as StorePath, output: "out" };

/** Narinfos, and the small texts that caches hold beside them or within them. */
export function makeTarget(): FuzzTarget {
  const directory = `${FIXTURES}/cache-xz`;
  const narInfos = readdirSync(directory)
    .filter((name) => name.endsWith(".narinfo") || name === "nix-cache-info")
    .map((name) => readFileSync(`${directory}/${name}`));
  const realisation = printRealisation({
    ...KEY,
    outputPath: `${STORE_DIR}/${"1".repeat(32)}-x` as StorePath,
    signatures: ["key-1:c2ln"],
  });
  const key = parsePublicKey(PUBLIC_KEY);
  return {
    corpus: [...narInfos, Buffer.from(realisation), Buffer.from(PUBLIC_KEY)],
    tokens: [
      ..."StorePath: \nURL: \nCompression: \nFileHash: \nFileSize: \nNarHash: \nNarSize: \nReferences: \nDeriver: \nSig: \nCA: \n".split(
        "\n",
      ),

      "\n",
      " ",
      ":",
      "0",
      "-1",
      "99999999999999999999",
      "sha256:",
      "sha1:",
      "text:sha256:",
      "fixed:r:sha256:",

      "unknown-deriver",
      "../..",
      "/nix/store/",
      "0".repeat(32),
      "a".repeat(300),
      "\0",
      "\xff",
      "xz",
      "http://[",
      '{"outPath":',
      '"signatures":[',
      '{"keyName":1}',
      "null",
      "[]",
      "\\ud800",
    ].map((text) => Buffer.from(text, "latin1")),
    run: (input) => {
      const text = input.toString("latin1");
      parseCacheInfo(text);
      const refusals: unknown[] = [];
      for (const read of [
        () => checkNarInfo(text),
        () => void parsePublicKey(text),
        () => void parseHash(text),
        () => void parseHash(text, "sha256"),
        () => void parseStorePath(STORE_DIR, text),
        () => void parseDrvOutput(STORE_DIR, text),
        () => checkContentAddress(text),
        () => checkRealisation(text),
      ])
        try {
          read();
        } catch (error) {
          refusals.push(error);
        }
      verifyText("text", text, [key]);
      const bug = refusals.find((error) => !(error instanceof Error) || error.name !== "DevshellError");
      // The narinfo's own refusal comes first: it tells the kind of end.
      if (bug !== undefined || refusals.length === 8) throw bug ?? refusals[0];
    },
  };
}

function checkNarInfo(text: string): void {
  const info = parseNarInfo(STORE_DIR, text, "input");
  const printed = printNarInfo(info);
  const again = parseNarInfo(STORE_DIR, printed, "output");
  if (printNarInfo(again) !== printed)
    throw new Error(`printed ${printed}, read and printed anew differently`);
  const sorted = (paths: readonly StorePath[]): unknown => [...new Set(paths)].sort();
  const withSorted = { ...info, references: sorted(info.references) };
  if (!isDeepStrictEqual(withSorted, { ...again, references: sorted(again.references) }))
    throw new Error(`${printed} is not what was read`);
}

function checkContentAddress(text: string): void {
  const printed = formatContentAddress(parseContentAddress(text));
  if (formatContentAddress(parseContentAddress(printed)) !== printed)
    throw new Error(`${printed} is read differently`);
}

function checkRealisation(text: string): void {
  const realisation = parseRealisation(STORE_DIR, KEY, text, "input");
  const again = parseRealisation(STORE_DIR, KEY, printRealisation(realisation), "output");
  if (again.outputPath !== realisation.outputPath) throw new Error(`${text} is read differently`);
}
