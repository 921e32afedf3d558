import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { itemsOf, joinLists, type Slot } from "../../lang/index.ts";
import { evaluate } from "./support/failures.ts";

/** A list that grew to a window: its numbers go up from `-joins` if it grew at its front, else to `299 + joins`. */
function grown(joins: number, isAtFront: boolean): readonly Slot[] {
  let list: readonly Slot[] = Array.from({ length: 300 }, (_, i) => i);
  for (let i = 0; i < joins; i++) list = isAtFront ? joinLists([-1 - i], list) : joinLists(list, [300 + i]);
  return list;
}

describe("lists that grow by ++", () => {
  it.each([true, false])("share what they hold (at the front: %s)", (isAtFront) => {
    // A copy for each join would be 20 billion elements.
    const list = grown(200_000, isAtFront);
    expect(list.length).toBe(200_300);
    expect(Array.isArray(list)).toBe(true);
    const first = isAtFront ? -200_000 : 0;
    expect([list[0], list[1], list[200_299], list[200_300]]).toEqual([
      first,
      first + 1,
      first + 200_299,
      undefined,
    ]);
    expect(itemsOf(list)).toEqual(Array.from({ length: 200_300 }, (_, i) => first + i));
  });

  it("are arrays for whoever reads them", () => {
    const list = grown(40, true);
    const plain = Array.from({ length: 340 }, (_, i) => i - 40);
    expect(list[0]).toBe(-40);
    expect([...list]).toEqual(plain);
    expect(list.map((item) => item)).toEqual(plain);
    expect(list.slice(-2)).toEqual([298, 299]);
    expect(([] as Slot[]).concat(list, [1])).toEqual([...plain, 1]);
    expect(list.every((item, i) => item === plain[i])).toBe(true);
    expect(JSON.stringify(list)).toBe(JSON.stringify(plain));
  });

  it("are what they were when others grow from them, at either side", () => {
    const pieces = fc.array(fc.tuple(fc.nat(), fc.array(fc.integer(), { minLength: 1 }), fc.boolean()), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(fc.boolean(), pieces, (isAtFront, steps) => {
        const lists = [grown(40, isAtFront)];
        const models = [[...lists[0]!]];
        for (const [which, added, isBefore] of steps) {
          const i = which % lists.length;
          lists.push(isBefore ? joinLists(added, lists[i]!) : joinLists(lists[i]!, added));
          models.push(isBefore ? [...added, ...models[i]!] : [...models[i]!, ...added]);
        }
        expect(lists.map((list) => list[0])).toEqual(models.map((list) => list[0]));
        expect(lists.map((list) => [...list])).toEqual(models);
      }),
    );
  });

  it.each([
    ["[ n ] ++ go (n - 1)", "[ 600 1 ]"],
    ["go (n - 1) ++ [ n ]", "[ 1 600 ]"],
    ["[ n ] ++ go (n - 1) ++ [ n ]", "[ 600 600 ]"],
    ["[ n ] ++ [ n ] ++ go (n - 1)", "[ 600 1 ]"],
    ["go (n - 1) ++ [ n ] ++ [ n ]", "[ 1 600 ]"],
  ])("by recursion: %s", (body, ends) => {
    const program = `let go = n: if n == 0 then [ ] else ${body}; list = go 600; length = builtins.length list; in
      assert builtins.head list == builtins.elemAt list 0;
      assert list == builtins.map (x: x) list && builtins.tail list != list;
      assert builtins.toJSON list == builtins.toJSON (builtins.filter (x: true) list);
      [ (builtins.head list) (builtins.elemAt list (length - 1)) ]`;
    expect(evaluate(program)).toEqual(ends);
  });

  it("are empty where all of a row is", () => {
    expect(evaluate("[ ] ++ [ ] ++ [ ]")).toBe("[ ]");
  });
});
