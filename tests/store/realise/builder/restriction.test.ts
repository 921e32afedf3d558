// What builders that use the store may see of it, several of whose connections add to it at a time.
import { describe, expect, it } from "vitest";
import { Restriction } from "../../../../store/realise/builder/restriction.ts";
import type { StorePath } from "../../../../store/types.ts";

const [INPUT, ADDED] = ["input", "added"].map(
  (name) => `/nix/store/${"a".repeat(32)}-${name}` as StorePath,
) as [StorePath, StorePath];

describe("a path that a builder adds", () => {
  it("is shown once, however many ask for it, and is there for none of them before", async () => {
    const shown: StorePath[] = [];
    const isCopied = Promise.withResolvers<void>();
    const restriction = new Restriction(new Set([INPUT]), async (path) => {
      shown.push(path);
      await isCopied.promise;
    });
    let isTold = false;
    const first = restriction.add([INPUT, ADDED]);
    const second = restriction.add([ADDED]).then(() => (isTold = true));
    await new Promise(setImmediate);
    expect([isTold, restriction.isAllowed(ADDED), restriction.paths()]).toEqual([false, false, [INPUT]]);
    isCopied.resolve();
    await Promise.all([first, second]);
    expect(shown).toEqual([ADDED]);
    expect(restriction.paths()).toEqual([INPUT, ADDED]);
  });

  it("is shown at the next try where it could not be", async () => {
    let failures = 1;
    const restriction = new Restriction(new Set(), () =>
      failures-- > 0 ? Promise.reject(new Error("the disk is full")) : Promise.resolve(),
    );
    await expect(restriction.add([ADDED])).rejects.toThrow("the disk is full");
    expect(restriction.isAllowed(ADDED)).toBe(false);
    await restriction.add([ADDED]);
    expect(restriction.isAllowed(ADDED)).toBe(true);
  });
});
