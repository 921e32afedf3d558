import { describe, expect, it } from "vitest";
import { generateSecretKey, publicKeyOf } from "../../../store/format/narInfo.ts";
import {
  isRealisationTrusted,
  parseDrvOutput,
  parseRealisation,
  printRealisation,
  realisationFingerprint,
  realisationJson,
  realisationPlace,
  signRealisation,
} from "../../../store/format/realisation.ts";
import type { Realisation, StorePath } from "../../../store/types.ts";

const REALISATION: Realisation = {
  drvPath: "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv" as StorePath,
  output: "dev",
  outputPath: "/nix/store/q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-foo-dev" as StorePath,
  signatures: ["key-1:c2lnbmF0dXJl"],
};

describe("realisations", () => {
  it("are signed by what they say, with base names and keys in order", () => {
    expect(realisationFingerprint(REALISATION)).toBe(
      '{"key":{"drvPath":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv","outputName":"dev"},"value":{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-foo-dev"}}',
    );
    const [ours, theirs] = [generateSecretKey("ours"), generateSecretKey("theirs")];
    const signed = { ...REALISATION, signatures: [signRealisation(REALISATION, ours)] };
    expect(isRealisationTrusted(signed, [publicKeyOf(ours)])).toBe(true);
    expect(isRealisationTrusted(signed, [publicKeyOf(theirs)])).toBe(false);
    const changed = { ...signed, outputPath: REALISATION.drvPath };
    expect(isRealisationTrusted(changed, [publicKeyOf(ours)])).toBe(false);
  });

  it("are read as they are written to a cache", () => {
    const text = printRealisation(REALISATION);
    expect(text).toBe(
      '{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-foo-dev","signatures":[{"keyName":"key-1","sig":"c2lnbmF0dXJl"}]}',
    );
    expect(parseRealisation("/nix/store", REALISATION, text, "cache")).toEqual(REALISATION);
    const older =
      '{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-foo-dev","signatures":["key-1:c2lnbmF0dXJl"]}';
    expect(parseRealisation("/nix/store", REALISATION, older, "cache")).toEqual(REALISATION);
    expect(realisationPlace(REALISATION)).toBe(
      "build-trace-v2/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv/dev.doi",
    );
    expect(realisationJson(REALISATION)).toMatchObject({ key: { outputName: "dev" } });
  });

  it.each([
    ["", "it is not JSON"],
    ["[]", 'it has no "outPath"'],
    ['{"outPath":1}', 'it has no "outPath"'],
    ['{"outPath":"../../etc"}', "store path"],
    ['{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-x","signatures":{}}', '"signatures" is no list'],
    ['{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-x","signatures":[1]}', '"signatures" is no list'],
    [
      '{"outPath":"q3yh7w1gq3yh7w1gq3yh7w1gq3yh7w1g-x","signatures":["a:AA b:AA"]}',
      '"signatures" is no list',
    ],
  ])("that are damaged are refused: %s", (text, why) => {
    expect(() => parseRealisation("/nix/store", REALISATION, text, "cache")).toThrow(why);
  });

  it("have keys by path", () => {
    expect(parseDrvOutput("/nix/store", `${REALISATION.drvPath}^dev`)).toEqual({
      drvPath: REALISATION.drvPath,
      output: "dev",
    });
    expect(() => parseDrvOutput("/nix/store", REALISATION.drvPath)).toThrow("missing '^'");
  });
});
