import { readFileSync, readdirSync } from "node:fs";
import { decompress, type Compression } from "../../../io/decompress.ts";
import { FIXTURES } from "../remote/binaryCache/cacheFixture.ts";
import type { FuzzTarget } from "./target.ts";

/** Those that are read within this process. */
const FORMATS: readonly Compression[] = ["gzip", "zstd", "br", "xz"];
const MOST_BYTES = 64 << 20;

export function makeTarget(): FuzzTarget {
  process.env["DEVSHELL_XZ"] = "wasm";
  // Which format it is to be read as stands before it.
  const corpus = FORMATS.flatMap((format, index) => {
    const directory = `${FIXTURES}/cache-${format}/nar`;
    const files = readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`));
    return files.map((bytes) => Buffer.concat([Buffer.from([index]), bytes]));
  });
  return {
    corpus,
    isCorpusRight: true,
    tokens: corpus.map((bytes) => bytes.subarray(1, 25)),
    run: async (input) => {
      const format = FORMATS[(input[0] ?? 0) % FORMATS.length] ?? "gzip";
      let sizeBytes = 0;
      for await (const chunk of decompress(format, pieces(input.subarray(1)))) {
        sizeBytes += chunk.length;
        // Whoever reads bounds what comes: a reader must stand to be left.
        if (sizeBytes > MOST_BYTES) break;
      }
    },
  };
}

async function* pieces(input: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < input.length; at += 512) yield await Promise.resolve(input.subarray(at, at + 512));
}
