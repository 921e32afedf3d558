import { claimWords } from "./heap.ts";
import type { Slot } from "./value.ts";

/**
 * `left ++ right`, of which neither is empty. A list that grows by one join after the other, as in
 * `foldr (x: list: [ x ] ++ list)`, would take time in the square of its length if each were a copy: a long one becomes
 * a window of a row that is shared, and grows at both ends.
 */
export function joinLists(left: readonly Slot[], right: readonly Slot[]): readonly Slot[] {
  const length = left.length + right.length;
  if (length >= MIN_LENGTH) return joinLong(left, right, length);
  claimWords(length);
  return left.concat(right);
}

/** Whether a list may be a window, or may become one by the next join. */
export function isLong(list: readonly Slot[]): boolean {
  return list.length >= MIN_LENGTH;
}

/** The elements of a list as a plain array, which is read faster than a window. */
export function itemsOf(list: readonly Slot[]): readonly Slot[] {
  return isLong(list) ? (windowOf(list)?.items() ?? list) : list;
}

/** Shorter lists are copied, and lists that have not yet grown by so many joins. */
const MIN_LENGTH = 256;
const MIN_JOINS = 32;

/** A window takes so many words. */
const WINDOW_WORDS = 16;

/** The list that was joined last, after so many joins each of the one before it. */
const last: { list: readonly Slot[]; joins: number } = { list: [], joins: 0 };

function joinLong(left: readonly Slot[], right: readonly Slot[], length: number): readonly Slot[] {
  const joined = windowOf(right)?.joinBefore(left) ?? windowOf(left)?.joinAfter(right);
  if (joined !== undefined) return joined;
  claimWords(length);
  const copy = itemsOf(left).concat(itemsOf(right));
  last.joins = left === last.list || right === last.list ? last.joins + 1 : 0;
  last.list = last.joins < MIN_JOINS ? copy : listOf(new Window({ before: [], after: copy }, 0, length));
  return last.list;
}

/** What several lists are windows of: it only grows, at the end of either array. */
interface Row {
  /** The elements before those of `after`, the last one first. */
  readonly before: Slot[];
  readonly after: Slot[];
}

/** Asks a list that is a window for its {@link Window}; other lists have no such property. */
const WINDOW = Symbol("window");

function windowOf(list: readonly Slot[]): Window | undefined {
  return (list as { readonly [WINDOW]?: Window })[WINDOW];
}

function listOf(window: Window): readonly Slot[] {
  return new Proxy(NO_ITEMS, window);
}

const NO_ITEMS: Slot[] = [];

/**
 * A list that is a part of a row, all of which it keeps. For all who read it an array, by a Proxy: that takes 300 ns for
 * each look, and so what goes through a list asks for {@link itemsOf}.
 */
class Window implements ProxyHandler<Slot[]> {
  readonly #row: Row;
  readonly #before: number;
  readonly #after: number;
  #items: readonly Slot[] | undefined;

  constructor(row: Row, before: number, after: number) {
    this.#row = row;
    this.#before = before;
    this.#after = after;
  }

  get(_: Slot[], key: string | symbol): unknown {
    if (key === "length") return this.#before + this.#after;
    if (key === WINDOW) return this;
    if (key === "0" && this.#items === undefined) return this.#first();
    return Reflect.get(this.items(), key);
  }

  has(_: Slot[], key: string | symbol): boolean {
    return Reflect.has(this.items(), key);
  }

  #first(): Slot {
    const { before, after } = this.#row;
    return this.#before > 0 ? before[this.#before - 1]! : after[0]!;
  }

  items(): readonly Slot[] {
    if (this.#items !== undefined) return this.#items;
    const { before, after } = this.#row;
    claimWords(this.#before + this.#after);
    this.#items = before.slice(0, this.#before).reverse().concat(after.slice(0, this.#after));
    return this.#items;
  }

  /** The list that begins with others, where the row has nothing before this one. */
  joinBefore(left: readonly Slot[]): readonly Slot[] | undefined {
    const { before } = this.#row;
    if (before.length !== this.#before) return undefined;
    const items = itemsOf(left);
    claimWords(items.length + WINDOW_WORDS);
    for (let i = items.length - 1; i >= 0; i--) before.push(items[i]!);
    return listOf(new Window(this.#row, before.length, this.#after));
  }

  /** The list that ends with others, where the row has nothing after this one. */
  joinAfter(right: readonly Slot[]): readonly Slot[] | undefined {
    const { after } = this.#row;
    if (after.length !== this.#after) return undefined;
    const items = itemsOf(right);
    claimWords(items.length + WINDOW_WORDS);
    for (const item of items) after.push(item);
    return listOf(new Window(this.#row, this.#before, after.length));
  }
}
