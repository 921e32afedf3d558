// What a build takes from the store that evaluation wrote to (`--eval-store`).
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { makeStorePath } from "../../../store/format/storePath.ts";
import { LocalStore } from "../../../store/local/localStore.ts";
import { withEvalStore } from "../../../store/realise/evalStore.ts";
import { realise, type RealiseReport } from "../../../store/realise/index.ts";
import type { StorePath } from "../../../store/types.ts";
import { TestStore, testSettings } from "../realiseFixture.ts";

/** Another store for the same directory's paths. */
function openEvalStore(t: TestStore): LocalStore {
  return LocalStore.open({
    ...testSettings(t.dir),
    stateDir: `${t.dir}/evaluation/state`,
    realStoreDir: `${t.dir}/evaluation/store`,
  });
}

function fetch(t: TestStore, evalStore: LocalStore, path: StorePath): Promise<RealiseReport> {
  return realise(withEvalStore(t.store, evalStore), [{ kind: "opaque", path }]);
}

/** A path that is addressed by no content, and that nobody signed. */
async function addUnsigned(store: LocalStore): Promise<StorePath> {
  const nar = narOfBytes(Buffer.from("whatever"));
  const narHash = hashBytes("sha256", nar);
  const path = makeStorePath(store.storeDir, "output:out", narHash, "thing");
  await store.addToStoreFromStream({ path, narHash, narSizeBytes: nar.length, references: [] }, [nar]);
  return path;
}

describe("the store that evaluation wrote to", () => {
  it("gives sources, which are what their address says", async () => {
    await using t = TestStore.create();
    using evalStore = openEvalStore(t);
    writeFileSync(`${t.dir}/source`, "text");
    const path = evalStore.addPath(`${t.dir}/source`, { name: "source", method: "nar" });
    expect((await fetch(t, evalStore, path)).failures).toEqual([]);
    expect(t.store.isValidPath(path)).toBe(true);
  });

  it.each([
    ["is not believed beyond that where signatures are asked for", true],
    ["is believed where none are", false],
  ])("%s", async (_, requireSignatures) => {
    await using t = TestStore.create({ requireSignatures });
    using evalStore = openEvalStore(t);
    const path = await addUnsigned(evalStore);
    const { failures } = await fetch(t, evalStore, path);
    expect(t.store.isValidPath(path)).toBe(!requireSignatures);
    const lacking = `cannot add path '${path}' because it lacks a signature by a trusted key`;
    expect(failures.map(({ message }) => message)).toEqual(requireSignatures ? [lacking] : []);
  });
});
