import { gzipSync } from "node:zlib";
import type { FuzzTarget } from "../../store/fuzz/target.ts";
import { ArchivePlace, attacks } from "./archivePlace.ts";
import { tarOf, withChecksum, zipOf } from "./writeArchives.ts";

const BLOCK = 512;

/** Archives as `fetchTarball` unpacks them, made of pieces of those that attack. */
export function makeTarget(): FuzzTarget {
  const place = new ArchivePlace();
  const all = attacks(place.canary).map(([, entries]) => entries);
  const tars = all.map((entries) => tarOf(entries));
  const tokens = all.flat().map((entry) => tarOf([entry]).subarray(0, BLOCK));
  return {
    corpus: [
      ...tars,
      tarOf(all.flat()),
      ...all.map((entries) => zipOf(entries)),
      gzipSync(tarOf(all.flat())),
    ],
    tokens: [...tokens, Buffer.from("../"), Buffer.from(place.canary), Buffer.from("2"), Buffer.from("1")],
    run: async (input, random) => {
      // Without its checksum a header is not looked at.
      const archive = random.below(4) === 0 ? input : withChecksums(input);
      try {
        await place.unpack(archive);
      } finally {
        place.clear();
      }
    },
    end: () => place[Symbol.dispose](),
  };
}

function withChecksums(input: Buffer): Buffer {
  const archive = Buffer.from(input);
  for (let at = 0; at + BLOCK <= archive.length; at += BLOCK)
    if (archive.toString("latin1", at + 257, at + 262) === "ustar")
      withChecksum(archive.subarray(at, at + BLOCK));
  return archive;
}
