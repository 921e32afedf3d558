import {
  AttrSet,
  CLAIM_EVERY,
  Lambda,
  MAX_LIST_LENGTH,
  NO_POS,
  addFrame,
  call1,
  call2,
  claimWords,
  equalValues,
  fitted,
  force,
  forceBool,
  forceFunction,
  forceGrowing,
  forceInt,
  forceList,
  forceStringNoContext,
  shapeOf,
  lessThan,
  PrimOp,
  type Env,
  type LambdaCode,
  type Slot,
  type Value,
} from "../value/index.ts";
import {
  EAGER_ITEMS,
  define1,
  define2,
  define3,
  delayCall1,
  failure,
  functionPos,
  type Definition,
} from "./define.ts";
import { sortByLess } from "./sort.ts";

const PARTITION_SHAPE = shapeOf(["right", "wrong"]);

export const LIST_BUILTINS: readonly Definition[] = [
  define1(
    "length",
    "e",
    "The number of a list's elements.",
    (_, list) =>
      forceGrowing(list, NO_POS, "while evaluating the first argument passed to builtins.length").length,
  ),
  define1("head", "list", "The first element of a list.", (_, list) => {
    const items = forceGrowing(list, NO_POS, "while evaluating the first argument passed to 'builtins.head'");
    if (items.length === 0) throw failure("'builtins.head' called on an empty list");
    return force(items[0]!);
  }),
  define1("tail", "list", "A list without its first element.", (_, list) => {
    const items = forceList(list, NO_POS, "while evaluating the first argument passed to 'builtins.tail'");
    if (items.length === 0) throw failure("'builtins.tail' called on an empty list");
    claimWords(items.length);
    return items.slice(1);
  }),
  define2("elemAt", "xs n", "The element at an index, counted from 0.", (_, xs, n) => {
    const index = forceInt(n, NO_POS, "while evaluating the second argument passed to 'builtins.elemAt'");
    const items = forceList(xs, NO_POS, "while evaluating the first argument passed to 'builtins.elemAt'");
    if (index < 0 || index >= items.length)
      throw failure(`'builtins.elemAt' called with index ${index} on a list of size ${items.length}`);
    return force(items[Number(index)]!);
  }),
  define2("elem", "x xs", "Whether a list holds an element equal to `x`.", (_, x, xs) => {
    const items = forceList(xs, NO_POS, "while evaluating the second argument passed to builtins.elem");
    claimWords(items.length);
    for (let i = 0; i < items.length; i++) if (equalValues(x, items[i]!, NO_POS)) return true;
    return false;
  }),
  define2(
    "map",
    "f list",
    "The list of `f x` for each element `x`.",
    (_, f, list) => {
      const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.map");
      const length = items.length;
      if (length === 0) return items;
      const fn = forceFunction(f, NO_POS, "while evaluating the first argument passed to builtins.map");
      claimWords(length);
      const mapped = new Array<Slot>(length);
      const isEager = length >= EAGER_ITEMS;
      for (let i = 0; i < length; i++) {
        if (i % CLAIM_EVERY === 0) claimWords(CLAIM_EVERY * WORDS_OF_CALL);
        mapped[i] = delayCall1(fn, items[i]!, isEager);
      }
      return mapped;
    },
    { isGlobal: true },
  ),
  define2("filter", "f list", "The elements for which `f` returns `true`.", (_, f, list) => {
    const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.filter");
    if (items.length === 0) return items;
    const fn = forceFunction(f, NO_POS, "while evaluating the first argument passed to builtins.filter");
    claimWords(items.length);
    const kept: Slot[] = [];
    for (let i = 0; i < items.length; i++) {
      const item = items[i]!;
      const verdict = call1(fn, item, NO_POS);
      if (verdict === true) kept.push(item);
      else if (verdict !== false)
        forceBool(
          verdict,
          NO_POS,
          "while evaluating the return value of the filtering function passed to builtins.filter",
        );
    }
    return kept.length === items.length ? items : fitted(kept);
  }),
  define3("foldl'", "op nul list", "Reduces a list from the left, strictly.", (_, op, nul, list) => {
    const fn = forceFunction(
      op,
      NO_POS,
      "while evaluating the first argument passed to builtins.foldlStrict",
    );
    const items = forceList(
      list,
      NO_POS,
      "while evaluating the third argument passed to builtins.foldlStrict",
    );
    if (items.length === 0) return force(nul);
    claimWords(items.length);
    let result: Slot = nul;
    if (fn instanceof Lambda && fn.code.call2 !== undefined) {
      const { env } = fn;
      const { call2: both, appended } = fn.code;
      if (appended !== undefined) return foldAppends(both(env, nul, items[0]!, NO_POS), items, env, appended);
      for (let i = 0; i < items.length; i++) result = both(env, result, items[i]!, NO_POS);
      return result as Value;
    }
    for (let i = 0; i < items.length; i++) result = call2(fn, result, items[i]!, NO_POS);
    return result as Value;
  }),
  define2("any", "pred list", "Whether `pred` returns `true` for at least one element.", (_, pred, list) => {
    const fn = forceFunction(pred, NO_POS, "while evaluating the first argument passed to builtins.any");
    const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.any");
    claimWords(items.length);
    for (let i = 0; i < items.length; i++) {
      const verdict = call1(fn, items[i]!, NO_POS);
      if (verdict === true) return true;
      if (verdict !== false)
        forceBool(
          verdict,
          NO_POS,
          "while evaluating the return value of the function passed to builtins.any",
        );
    }
    return false;
  }),
  define2("all", "pred list", "Whether `pred` returns `true` for all elements.", (_, pred, list) => {
    const fn = forceFunction(pred, NO_POS, "while evaluating the first argument passed to builtins.all");
    const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.all");
    claimWords(items.length);
    for (let i = 0; i < items.length; i++) {
      const verdict = call1(fn, items[i]!, NO_POS);
      if (verdict === false) return false;
      if (verdict !== true)
        forceBool(
          verdict,
          NO_POS,
          "while evaluating the return value of the function passed to builtins.all",
        );
    }
    return true;
  }),
  define2(
    "genList",
    "generator length",
    "The list of `generator i` for each `i` from 0.",
    (_, generator, length) => {
      const count = forceInt(
        length,
        NO_POS,
        "while evaluating the second argument passed to builtins.genList",
      );
      if (count < 0 || count > MAX_LIST_LENGTH) throw failure(`cannot create list of size ${count}`);
      const fn = forceFunction(
        generator,
        NO_POS,
        "while evaluating the first argument passed to builtins.genList",
      );
      claimWords(Number(count));
      const items = new Array<Slot>(Number(count));
      const isEager = items.length >= EAGER_ITEMS;
      for (let i = 0; i < items.length; i++) {
        if (i % CLAIM_EVERY === 0) claimWords(CLAIM_EVERY * WORDS_OF_CALL);
        items[i] = delayCall1(fn, i, isEager);
      }
      return items;
    },
  ),
  define1("concatLists", "lists", "Joins the lists in a list.", (_, lists) => {
    const outer = forceList(
      lists,
      NO_POS,
      "while evaluating the first argument passed to builtins.concatLists",
    );
    const joined = new JoinedLists();
    for (let i = 0; i < outer.length; i++)
      joined.add(
        forceList(outer[i]!, NO_POS, "while evaluating a value of the list passed to builtins.concatLists"),
      );
    return joined.finish();
  }),
  define2("concatMap", "f list", "Joins the lists that `f` returns for each element.", (_, f, list) => {
    const fn = forceFunction(f, NO_POS, "while evaluating the first argument passed to builtins.concatMap");
    const items = forceList(
      list,
      NO_POS,
      "while evaluating the second argument passed to builtins.concatMap",
    );
    claimWords(items.length);
    const pos = functionPos(fn);
    const joined = new JoinedLists();
    for (let i = 0; i < items.length; i++) {
      const more = call1(fn, items[i]!, NO_POS);
      joined.add(
        forceList(
          more,
          more instanceof Lambda ? functionPos(more) : pos,
          "while evaluating the return value of the function passed to builtins.concatMap",
        ),
      );
    }
    return joined.finish();
  }),
  define2(
    "sort",
    "comparator list",
    "Sorts a list, stably, by a function that says whether one element comes before another.",
    (_, comparator, list) => {
      const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.sort");
      if (items.length === 0) return items;
      const fn = forceFunction(
        comparator,
        NO_POS,
        "while evaluating the first argument passed to builtins.sort",
      );
      claimWords(items.length);
      const values = items.map((item) => force(item));
      if (fn instanceof PrimOp && fn.name === "lessThan") return sortNaturally(values);
      return sortByLess(values, (a, b) => {
        const verdict = call2(fn, a, b, NO_POS);
        return typeof verdict === "boolean"
          ? verdict
          : forceBool(
              verdict,
              NO_POS,
              "while evaluating the return value of the sorting function passed to builtins.sort",
            );
      });
    },
  ),
  define2(
    "partition",
    "pred list",
    "Splits a list into `right`, where `pred` returns `true`, and `wrong`.",
    (_, pred, list) => {
      const fn = forceFunction(
        pred,
        NO_POS,
        "while evaluating the first argument passed to builtins.partition",
      );
      const items = forceList(
        list,
        NO_POS,
        "while evaluating the second argument passed to builtins.partition",
      );
      claimWords(items.length);
      const right: Slot[] = [];
      const wrong: Slot[] = [];
      for (let i = 0; i < items.length; i++) {
        const item = force(items[i]!);
        const verdict = forceBool(
          call1(fn, item, NO_POS),
          NO_POS,
          "while evaluating the return value of the partition function passed to builtins.partition",
        );
        (verdict ? right : wrong).push(item);
      }
      return new AttrSet(PARTITION_SHAPE, [fitted(right), fitted(wrong)]);
    },
  ),
  define2("groupBy", "f list", "Groups elements by the string that `f` returns for them.", (_, f, list) => {
    const fn = forceFunction(f, NO_POS, "while evaluating the first argument passed to builtins.groupBy");
    const items = forceList(list, NO_POS, "while evaluating the second argument passed to builtins.groupBy");
    claimWords(items.length);
    const groups = new Map<string, Slot[]>();
    for (let i = 0; i < items.length; i++) {
      const name = forceStringNoContext(
        call1(fn, items[i]!, NO_POS),
        NO_POS,
        "while evaluating the return value of the grouping function passed to builtins.groupBy",
      );
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [items[i]!]);
      else group.push(items[i]!);
    }
    return AttrSet.fromMap(groups);
  }),
];

/**
 * `foldl' (list: x: list ++ e) nul items`, from the second item on: no more than this loop sees the list before it is
 * whole, so it grows in place, where copying it each time would take a time quadratic in its length.
 */
function foldAppends(
  first: Value,
  items: readonly Slot[],
  env: Env,
  appended: NonNullable<LambdaCode["appended"]>,
): Value {
  let list = first as readonly Slot[];
  // `list` itself, once it was made here.
  let own: Slot[] | undefined;
  for (let i = 1; i < items.length; i++) {
    const more = appended(env, list, items[i]!);
    if (more.length === 0) continue;
    if (list.length === 0) list = more;
    else {
      if (own === undefined) list = own = list.slice();
      append(own, more);
    }
  }
  return list;
}

/** A call that is put off: a thunk, and the environment of its argument. */
const WORDS_OF_CALL = 8;

/** Lists one after another; of several the only one that is not empty is given as it is. */
class JoinedLists {
  #list: readonly Slot[] = [];
  /** The lists so far, once they are two. */
  #own: Slot[] | undefined = undefined;

  add(more: readonly Slot[]): void {
    if (more.length === 0) return;
    if (this.#list.length === 0) this.#list = more;
    else {
      this.#own ??= this.#list.slice();
      append(this.#own, more);
    }
  }

  finish(): readonly Slot[] {
    return this.#own === undefined ? this.#list : fitted(this.#own);
  }
}

function append(target: Slot[], items: readonly Slot[]): void {
  if (target.length + items.length > MAX_LIST_LENGTH) throw new RangeError("Invalid array length");
  claimWords(items.length);
  for (let i = 0; i < items.length; i++) target.push(items[i]!);
}

function sortNaturally(values: Value[]): readonly Slot[] {
  if (
    values.every((value) => typeof value === "string") ||
    values.every((value) => typeof value === "number")
  )
    // Equal elements cannot be told apart, so stability does not matter.
    return values.sort((a, b) => (a! < b! ? -1 : a! > b! ? 1 : 0));
  try {
    return sortByLess(values, (a, b) => lessThan(a, b, NO_POS));
  } catch (error) {
    throw addFrame(error, "while evaluating the ordering function passed to builtins.sort");
  }
}
