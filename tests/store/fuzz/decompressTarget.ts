import { readFileSync, readdirSync } from "node:fs";
import { decompress, type Compression } from "../../../io/decompress.ts";
import { FIXTURES } from "../remote/cacheFixture.ts";
import type { FuzzTarget } from "./target.ts";

/** Those that are read within this process. */
const FORMATS: readonly Compression[] = ["gzip", "zstd", "br", "xz"];
const MOST_BYTES = 64 << 20;

export function makeTarget(): FuzzTarget {
  process.env["DEVSHELL_XZ"] = "wasm";
  const corpus = FORMATS.flatMap((format) => {
    const directory = `${FIXTURES}/cache-${format}/nar`;
    return readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`));
  });
  return {
    corpus,
    tokens: [corpus[0]?.subarray(0, 10), corpus[4]?.subarray(0, 12), corpus.at(-1)?.subarray(0, 24)].filter(
      (token) => token !== undefined,
    ),
    run: async (input, random) => {
      const format = FORMATS.find((_, index) =>
        corpus[index * 3]?.subarray(0, 3).equals(input.subarray(0, 3)),
      );
      let sizeBytes = 0;
      for await (const chunk of decompress(format ?? random.of(FORMATS), pieces(input))) {
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
