import { describe, expect, it } from "vitest";
import { Turns } from "../../cli/daemon/turns.ts";

describe("a daemon's clients", () => {
  it("of one user come one after the other where there are many, and do not keep others out", () => {
    const turns = new Turns({ running: 2, waiting: 1000 });
    const ends: (() => void)[] = [];
    const begun: string[] = [];
    const come = (uid: number, name: string) =>
      turns.take(uid, (done) => {
        begun.push(name);
        ends.push(done);
      });
    for (let i = 0; i < 1002; i++) expect(come(1000, `a${i}`)).toBe(true);
    expect(come(1000, "one too many")).toBe(false);
    expect(begun).toEqual(["a0", "a1"]);
    expect(come(1001, "b")).toBe(true);
    expect(begun).toEqual(["a0", "a1", "b"]);
    // Told twice that one has ended, still only one begins.
    ends[0]?.();
    ends[0]?.();
    expect(begun).toEqual(["a0", "a1", "b", "a2"]);
    for (let at = 1; at < ends.length; at++) ends[at]?.();
    expect(begun).toHaveLength(1003);
    expect(come(1000, "afterwards")).toBe(true);
    expect(begun.at(-1)).toBe("afterwards");
  });
});
