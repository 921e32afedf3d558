import { lstatSync, lutimesSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  addGeneration,
  deleteGenerations,
  profileToken,
  readGenerations,
  switchGeneration,
  type GenerationChoice,
  type LocalStore,
  type StorePath,
} from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";

let directory: TestDirectory;
let store: LocalStore;
let profile: string;

beforeEach(() => {
  directory = new TestDirectory();
  store = directory.open();
  profile = join(directory.path, "state/profiles/mine");
});
afterEach(() => {
  store[Symbol.dispose]();
  directory[Symbol.dispose]();
});

const text = (contents: string): StorePath => store.addText("text", contents, []);
const numbers = (): number[] => readGenerations(profile).all.map(({ number }) => number);
const go = (number: number | undefined, isDryRun = false): string[] => {
  const switches: string[] = [];
  switchGeneration(store, profile, number, {
    isDryRun,
    onSwitch: (from, to) => switches.push(`${from} to ${to}`),
  });
  return switches;
};
const drop = (choice: GenerationChoice, isDryRun = false): number[] => {
  const dropped: number[] = [];
  deleteGenerations(store, profile, choice, { isDryRun, onDelete: ({ number }) => dropped.push(number) });
  return dropped;
};

describe("generations of a profile", () => {
  it("are numbered symlinks into the store; the profile is a link to one", () => {
    expect(readGenerations(profile)).toEqual({ all: [], current: undefined });
    const paths = ["a", "b"].map(text);
    for (const path of paths) addGeneration(store, profile, path);
    expect(readdirSync(join(directory.path, "state/profiles")).sort()).toEqual([
      "mine",
      "mine-1-link",
      "mine-2-link",
      "per-user",
    ]);
    expect(readlinkSync(profile)).toBe("mine-2-link");
    expect(readGenerations(profile).all.map(({ target }) => target)).toEqual(paths);
  });

  it("get no new number for what the newest one is already", () => {
    const [a, b] = ["a", "b"].map(text);
    addGeneration(store, profile, a!);
    addGeneration(store, profile, b!);
    go(undefined);
    expect(addGeneration(store, profile, b!)?.number).toBe(2);
    expect(readGenerations(profile)).toMatchObject({ current: 2, all: [{ number: 1 }, { number: 2 }] });
    expect(addGeneration(store, profile, a!)?.number).toBe(3);
  });

  it("are not added to a profile that changed meanwhile", () => {
    const token = profileToken(profile);
    addGeneration(store, profile, text("theirs"));
    expect(addGeneration(store, profile, text("ours"), token)).toBeUndefined();
    expect(numbers()).toEqual([1]);
    expect(addGeneration(store, profile, text("ours"), profileToken(profile))?.number).toBe(2);
  });

  it("are switched to by number or back by one", () => {
    for (const name of "abc") addGeneration(store, profile, text(name));
    expect(go(undefined)).toEqual(["3 to 2"]);
    expect(go(undefined, true)).toEqual(["2 to 1"]);
    expect(go(3)).toEqual(["2 to 3"]);
    expect(readGenerations(profile).current).toBe(3);
    expect(() => go(7)).toThrow("profile version 7 does not exist");
    go(1);
    expect(() => go(undefined)).toThrow("no profile version older than the current (1) exists");
  });

  it("keep their paths alive until they are deleted", async () => {
    const [a, b] = ["a", "b"].map(text);
    addGeneration(store, profile, a!);
    addGeneration(store, profile, b!);
    store[Symbol.dispose]();
    store = directory.open();
    await store.collectGarbage({ action: "deleteDead" });
    expect([a, b].map((path) => store.isValidPath(path!))).toEqual([true, true]);
    expect(drop({ kind: "old" })).toEqual([1]);
    await store.collectGarbage({ action: "deleteDead" });
    expect([a, b].map((path) => store.isValidPath(path!))).toEqual([false, true]);
  });

  it("go as they are chosen, never the one in use", () => {
    for (const name of "abcdef") addGeneration(store, profile, text(name));
    go(4);
    expect(drop({ kind: "keep", count: 2 }, true)).toEqual([2, 1]);
    expect(drop({ kind: "old" }, true)).toEqual([1, 2, 3, 5, 6]);
    expect(drop({ kind: "numbers", numbers: new Set([1, 5, 9]) })).toEqual([1, 5]);
    expect(() => drop({ kind: "numbers", numbers: new Set([2, 4]) })).toThrow(
      /cannot delete current version/,
    );
    expect(numbers()).toEqual([2, 3, 4, 6]);
    expect(drop({ kind: "keep", count: 1 })).toEqual([3, 2]);
    expect(numbers()).toEqual([4, 6]);
  });

  it("that were in use at a time stay", () => {
    for (const name of "abcd") addGeneration(store, profile, text(name));
    const day = 86_400_000;
    const nowMs = Date.now();
    const age = (number: number, days: number): void => {
      const seconds = (nowMs - days * day) / 1000;
      const link = `${profile}-${number}-link`;
      lutimesSync(link, seconds, seconds);
    };
    age(1, 40);
    age(2, 35);
    age(3, 20);
    expect(drop({ kind: "olderThan", ms: nowMs - 30 * day })).toEqual([1]);
    expect(numbers()).toEqual([2, 3, 4]);
    expect(drop({ kind: "olderThan", ms: nowMs - 50 * day })).toEqual([]);
    expect(lstatSync(`${profile}-2-link`).isSymbolicLink()).toBe(true);
  });
});
