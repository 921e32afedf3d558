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

  it("that grow from the right, or from either side, are not copied each time", () => {
    const big = AttrSet.fromMap(new Map(Array.from({ length: 300 }, (_, i) => [`n${i}`, i]))) as AttrSet;
    const small = AttrSet.fromMap(new Map(Object.entries({ n1: -1, new: 0 }))) as AttrSet;
    const set = updateAttrs(small, big);
    expect(set.base).toBe(big);
    expect([set.get("n1"), set.get("new"), set.size]).toEqual([1, 0, 301]);
    const hidden = updateAttrs(AttrSet.fromMap(new Map([["n1", -1]])) as AttrSet, big);
    expect(hidden).not.toBe(big);
    expect(contents(hidden)).toEqual(contents(big));
    fc.assert(
      fc.property(fc.array(fc.tuple(sets, fc.boolean()), { maxLength: 12 }), (parts) => {
        let grown = big;
        let model: Record<string, unknown> = Object.fromEntries(contents(big));
        for (const [part, isRight] of parts) {
          const other = AttrSet.fromMap(new Map(Object.entries(part))) as AttrSet;
          grown = isRight ? updateAttrs(grown, other) : updateAttrs(other, grown);
          model = isRight ? { ...model, ...part } : { ...part, ...model };
        }
        expect(Object.fromEntries(contents(grown))).toEqual(model);
      }),
    );
  });

  it("put layers into one when they are searched more often than that costs", () => {
    const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
    const base = AttrSet.of(names, [...names.keys()]) as AttrSet;
    const set = updateAttrs(base, AttrSet.fromMap(new Map([["n1", -1]])) as AttrSet);
    for (let i = 0; i < 100; i++) expect(set.get(`n${i}`)).toBe(i === 1 ? -1 : i);
    expect(set.base).not.toBeNull();
    for (let i = 0; i < 100; i++) expect(set.get("n1")).toBe(-1);
    expect(set.base).toBeNull();
    expect([set.get("n99"), set.get("missing"), set.size]).toEqual([99, undefined, 100]);
  });

  it("leave many slots that are made when asked for in their layer", () => {
    const made = new Set<number>();
    const names = Array.from({ length: 2000 }, (_, i) => `n${i}`);
    const { shape } = AttrSet.of(names, [...names.keys()]) as AttrSet;
    const base = new AttrSet(shape, Array.from<undefined>({ length: 2000 }), null, (i) => {
      made.add(i);
      return i;
    });
    const set = updateAttrs(base, AttrSet.fromMap(new Map([["n1", -1]])) as AttrSet);
    for (let i = 0; i < 9000; i++) expect(set.get(`n${i % 3}`)).toBe(i % 3 === 1 ? -1 : i % 3);
    expect([...made].toSorted((a, b) => a - b)).toEqual([0, 2]);
  });

  it("share the layout of the same names in the same order, and of no others", () => {
    const layout = (...names: string[]) => AttrSet.of(names, names).shape.layout;
    expect(layout("a", "b", "c")).toBe(layout("a", "b", "c"));
    expect(layout("a", "c")).not.toBe(layout("a", "b", "c"));
    expect(layout("a", "x", "c").names).toEqual(["a", "x", "c"]);
    for (let i = 0; i < 100; i++) expect(layout("a", `m${i}`, "c").names).toEqual(["a", `m${i}`, "c"]);
    expect(layout("a", "b", "c").names).toEqual(["a", "b", "c"]);
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
