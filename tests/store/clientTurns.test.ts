import { describe, expect, it } from "vitest";
import { clientLimits } from "../../store/clientLimits.ts";
import { ClientTurns } from "../../store/clientTurns.ts";

describe("a daemon's clients", () => {
  it("of one user come one after the other where there are many, and do not keep others out", () => {
    const turns = new ClientTurns({ running: 2, waiting: 1000, waitingInAll: 5000 });
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

  it("of many users wait in bounds, too", () => {
    const turns = new ClientTurns({ running: 1, waiting: 4, waitingInAll: 6 });
    let end: (() => void) | undefined;
    const come = (uid: number) => turns.take(uid, (done) => (end ??= done));
    for (let i = 0; i < 5; i++) expect(come(1000)).toBe(true);
    expect(come(1000)).toBe(false);
    for (let i = 0; i < 3; i++) expect(come(1001)).toBe(true);
    expect(come(1001)).toBe(false);
    // Who has nobody at work need not wait.
    expect(come(1002)).toBe(true);
    end?.();
    expect(come(1002)).toBe(true);
    expect(come(1002)).toBe(false);
  });

  it("that wait take no more than a part of the files that may be open", () => {
    const limits = (soft: string) =>
      clientLimits(`Limit  Soft Limit  Hard Limit  Units\nMax open files  ${soft}  524288  files\n`);
    expect(limits("1024")).toEqual({ running: 64, waiting: 128, waitingInAll: 512 });
    expect(limits("524288")).toMatchObject({ waiting: 4096, waitingInAll: 262144 });
    expect(limits("unlimited")).toMatchObject({ waiting: 4096 });
    expect(clientLimits().waiting).toBeGreaterThan(0);
  });
});
