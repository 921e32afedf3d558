import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AttrSet,
  EMPTY_SET,
  Float,
  Thunk,
  equalValues,
  force,
  lessThan,
  suggest,
  updateAttrs,
  type Value,
} from "../../lang/index.ts";

const sets = fc.dictionary(fc.string({ maxLength: 3 }), fc.integer(), { maxKeys: 40 });
const contents = (set: AttrSet): [string, unknown][] => {
  const entries: [string, unknown][] = [];
  set.forEachSorted((name, slot) => entries.push([name, slot]));
  return entries;
};

describe("attribute sets", () => {
  it("update as a map does, in any order of layers", () => {
    fc.assert(
      fc.property(fc.array(sets, { maxLength: 12 }), (parts) => {
        let set = EMPTY_SET;
        const model = new Map<string, number>();
        for (const part of parts) {
          set = updateAttrs(set, AttrSet.fromMap(new Map(Object.entries(part))) as AttrSet);
          for (const [name, value] of Object.entries(part)) model.set(name, value);
        }
        for (const [name, value] of model) expect(set.get(name)).toBe(value);
        expect(set.size).toBe(model.size);
        expect(contents(set)).toEqual([...model].toSorted(([a], [b]) => (a < b ? -1 : 1)));
      }),
    );
  });

  it("make slots when asked for, once", () => {
    const made: number[] = [];
    const names = ["a", "b", "c"];
    const base = AttrSet.of(names, [0, 0, 0]) as AttrSet;
    const set = new AttrSet(base.shape, [undefined, undefined, undefined], null, (i) => {
      made.push(i);
      return i === 1 ? null : i;
    });
    expect(set.get("b")).toBe(null);
    expect(set.get("b")).toBe(null);
    expect(set.get("missing")).toBeUndefined();
    expect(made).toEqual([1]);
    expect(set.flatten().values).toEqual([0, null, 2]);
    expect(made).toEqual([1, 0, 2]);
  });
});

describe("values", () => {
  it("compare numbers across kinds", () => {
    const numbers: Value[] = [-1, 0.5, 2, 2n ** 62n].map((n) =>
      typeof n === "number" && !Number.isInteger(n) ? new Float(n) : n,
    );
    for (let i = 0; i < numbers.length; i++)
      for (let j = 0; j < numbers.length; j++) {
        expect(lessThan(numbers[i]!, numbers[j]!, 0)).toBe(i < j);
        expect(equalValues(numbers[i]!, numbers[j]!, 0)).toBe(i === j);
      }
  });

  it("force a thunk once and find it within itself", () => {
    let runs = 0;
    const thunk = new Thunk(() => ++runs, null);
    expect([force(thunk), force(thunk), runs]).toEqual([1, 1, 1]);
    const loop: Thunk = new Thunk(() => force(loop), null);
    expect(() => force(loop)).toThrow("infinite recursion");
  });

  it("suggest by edit distance", () => {
    expect(suggest("helo", ["hello", "help", "world"])).toEqual(["hello", "help"]);
    expect(suggest("x", ["abcdef"])).toEqual([]);
  });
});
