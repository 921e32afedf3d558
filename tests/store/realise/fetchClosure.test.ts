import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fetchClosure, settingsForClosure, type ClosureRequest } from "../../../store/realise/index.ts";
import type { StorePath } from "../../../store/types.ts";
import { sendBytes, serve } from "../realiseFixture.ts";
import { DOC, FIXTURES, PUBLIC_KEY, TEXT, TestPlace } from "../remote/binaryCache/cacheFixture.ts";

const CACHE = `${FIXTURES}/cache-zstd`;
/* What `nix store make-content-addressed` of Nix 2.34 prints. */
const NEW_DOC = "/nix/store/dyjccqyf3idc6jl878ys20i4j5wzckzm-golden-doc" as StorePath;
const NEW_TREE = "/nix/store/npsjwb4ds81yahc8z95wmjjp8ayfm8mw-golden" as StorePath;
const NEW_TEXT = "/nix/store/kj70h0d215p6js7as927nisxg6wrshb1-dep.txt" as StorePath;
const WRONG = NEW_DOC.replace("/dyj", "/xyj") as StorePath;

class ClosureStore extends TestPlace {
  readonly url: string;

  constructor(url = `file://${CACHE}`, trustedPublicKeys: readonly string[] = []) {
    super({ trustedPublicKeys }, (settings) => settingsForClosure(settings, url));
    this.url = url;
  }

  fetch(request: Partial<ClosureRequest>): Promise<StorePath> {
    const whole = { fromStore: this.url, fromPath: DOC, isInputAddressed: false, ...request };
    return fetchClosure(this.store, whole, new AbortController().signal);
  }
}

describe("fetchClosure", () => {
  it("rewrites to the paths that Nix's own rewriting gives, and leaves the old ones out", async () => {
    await using t = new ClosureStore();
    expect(await t.fetch({ toPath: NEW_DOC })).toBe(NEW_DOC);
    expect(t.store.closureOf(NEW_DOC)).toEqual([NEW_DOC, NEW_TEXT, NEW_TREE].sort());
    expect(readFileSync(t.store.realPath(`${NEW_TREE}/bin/run`), "utf8")).toBe(
      `#!/bin/sh\ncat ${NEW_TEXT}\n`,
    );
    expect(t.store.queryPathInfo(NEW_DOC)?.contentAddress).toMatch(/^fixed:r:sha256:/);
    expect((await t.store.verify({ checkContents: true })).problems).toEqual([]);
    expect(t.store.isValidPath(DOC)).toBe(false);
    expect(existsSync(t.store.realPath(DOC))).toBe(false);
  });

  it("tells the path that rewriting gives, where it is not the one expected", async () => {
    await using t = new ClosureStore();
    await expect(t.fetch({ toPath: "" })).rejects.toThrow(
      `rewriting '${DOC}' to content-addressed form yielded '${NEW_DOC}'\nUse this value`,
    );
    await expect(t.fetch({ toPath: WRONG })).rejects.toThrow(
      `yielded '${NEW_DOC}', while '${WRONG}' was expected`,
    );
  });

  it("wants no signature for what is addressed by its content, over http too", async () => {
    await using server = await serve((path, request, response) => {
      const file = `${CACHE}${path}`;
      return existsSync(file) && sendBytes(readFileSync(file), request, response);
    });
    await using t = new ClosureStore(server.url);
    expect(await t.fetch({ fromPath: TEXT })).toBe(TEXT);
    await expect(t.fetch({ fromPath: TEXT, isInputAddressed: true })).rejects.toThrow(
      `'fromPath' at '${TEXT}' is not input-addressed`,
    );
    await expect(t.fetch({ isInputAddressed: true })).rejects.toThrow("no substituter");
    await expect(t.fetch({ fromPath: NEW_TREE, toPath: NEW_TREE })).rejects.toThrow(
      `path '${NEW_TREE}' is not in the store`,
    );
  });

  it("takes input-addressed paths only where they are asked for and signed", async () => {
    await using t = new ClosureStore(undefined, [PUBLIC_KEY]);
    expect(await t.fetch({ isInputAddressed: true })).toBe(DOC);
    await expect(t.fetch({})).rejects.toThrow(`The 'fromPath' value '${DOC}' is input-addressed`);
    await expect(t.fetch({ toPath: DOC })).rejects.toThrow(`The 'toPath' value '${DOC}' is input-addressed`);
  });
});
