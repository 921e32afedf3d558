import type { RegexProgram } from "./program.ts";
import { RegexError } from "./syntax.ts";

/** Start and end of the whole and of each group, −1 where a group took no part: `[s0, e0, s1, e1, …]`. */
export type Captures = readonly number[];

export interface SearchOptions {
  readonly from: number;
  /** The whole rest must match (`match`); otherwise any part, leftmost (`split`). */
  readonly isExact: boolean;
  /** Only at `from` itself, and not the empty string: what follows an empty match. */
  readonly isContinuation: boolean;
  /** Whether something precedes `from`, so that `^` does not match there. */
  readonly hasPrevious: boolean;
}

/** Bits of the table of visited (branch, position) pairs. */
const MAX_TABLE_BITS = 2 ** 32;
/** Repeats of nullable bodies, each a digit to base 3 in a safe integer. */
const MAX_GUARDS = 20;

/** A capture was set: newest first. Shared by all ways that grow from it. */
interface Saved {
  readonly slot: number;
  readonly at: number;
  readonly older: Saved | null;
}

/** Something still to do when the present way is at its end. */
interface Pending {
  /**
   * `try` a way; a way only `unlessFound`; the `second` alternative after the first; `join` what both found;
   * `note` for a branch whether it led to a match.
   */
  readonly kind: "try" | "unlessFound" | "second" | "join" | "note";
  /** An instruction, or for `note` a branch. */
  readonly pc: number;
  readonly at: number;
  readonly saved: Saved | null;
  /** Base 3: how often each nullable repeat ran at this position. */
  readonly guards: number;
  /** Whether a match was found before. */
  readonly wasFound: boolean;
}

const NEW = 0;
const SEEN = 1;
const SEEN_FOUND = 2;

/**
 * Explores what libstdc++'s depth-first executor explores, in its order, but never the same instruction at the same
 * position twice: a second visit could only find the same ends, later. So time and memory are bounded by
 * branches × length, where libstdc++ takes exponential time or overflows its stack.
 */
export class RegexMachine {
  readonly #program: RegexProgram;
  readonly #text: string;
  readonly #size: number;
  /** A bit for each (branch, position): visited, and visited with a match found. */
  readonly #seen: Uint8Array;
  readonly #found: Uint8Array;
  /** Bytes of both tables that are not zero. */
  #touched: number[] = [];
  /** The same for states inside an empty round of a repeat, by key. */
  readonly #guarded = new Map<number, boolean>();
  #isLongest = false;
  #bestEnd = -1;
  #best: Saved | null = null;

  constructor(program: RegexProgram, text: string) {
    this.#program = program;
    this.#text = text;
    this.#size = text.length + 1;
    const bits = program.branchCount * this.#size;
    if (bits > MAX_TABLE_BITS || program.guardCount > MAX_GUARDS) throw new RegexError("space");
    this.#seen = new Uint8Array((bits >> 3) + 1);
    this.#found = program.hasAlternatives ? new Uint8Array((bits >> 3) + 1) : this.#seen;
  }

  search(options: SearchOptions): Captures | undefined {
    this.#isLongest = !options.isExact && this.#program.hasAlternatives;
    this.#clear();
    const text = this.#text;
    const last = options.isExact || options.isContinuation ? options.from : text.length;
    const { startSet } = this.#program;
    for (let start = options.from; start <= last; start++) {
      if (startSet !== undefined && (start === text.length || startSet[text.charCodeAt(start)] === 0))
        continue;
      this.#bestEnd = -1;
      this.#explore(start, options);
      if (this.#bestEnd >= 0) return this.#captures(start);
    }
    return undefined;
  }

  #captures(start: number): Captures {
    const captures = new Array<number>(2 + this.#program.groupCount * 2).fill(-1);
    for (let saved = this.#best; saved !== null; saved = saved.older)
      if (captures[saved.slot] === -1) captures[saved.slot] = saved.at;
    captures[0] = start;
    captures[1] = this.#bestEnd;
    return captures;
  }

  #explore(start: number, { from, isExact, isContinuation, hasPrevious }: SearchOptions): void {
    const { instructions } = this.#program;
    const text = this.#text;
    const end = text.length;
    const isLongest = this.#isLongest;
    const pending: Pending[] = [];
    let isFound = false;
    let pc = this.#program.start;
    let at = start;
    let saved: Saved | null = null;
    let guards = 0;
    for (;;) {
      let isDead = false;
      while (!isDead) {
        const instruction = instructions[pc]!;
        switch (instruction.op) {
          case "set":
            if (at < end && instruction.set[text.charCodeAt(at)] === 1) {
              at++;
              guards = 0;
              pc = instruction.next;
            } else isDead = true;
            break;
          case "save":
            saved = { slot: instruction.slot, at, older: saved };
            pc = instruction.next;
            break;
          case "bol":
            if (at === from && !hasPrevious) pc = instruction.next;
            else isDead = true;
            break;
          case "eol":
            if (at === end) pc = instruction.next;
            else isDead = true;
            break;
          case "accept":
            isDead = true;
            if (isExact ? at !== end : isContinuation && at === from) break;
            isFound = true;
            if (at > this.#bestEnd) {
              this.#bestEnd = at;
              this.#best = saved;
            }
            if (!isLongest) return;
            break;
          case "either":
          case "repeat": {
            const { branch, next } = instruction;
            const visit = this.#visit(branch, at, guards);
            if (visit !== NEW) {
              isFound ||= visit === SEEN_FOUND;
              isDead = true;
              break;
            }
            if (isLongest) {
              pending.push({ kind: "note", pc: branch, at, saved: null, guards, wasFound: isFound });
              isFound = false;
            }
            if (instruction.op === "either") {
              const kind = isLongest ? "second" : "try";
              pending.push({ kind, pc: next, at, saved, guards, wasFound: false });
              pc = instruction.first;
              break;
            }
            let inside = guards;
            if (instruction.guard >= 0) {
              // libstdc++ lets a body match nothing twice at one position, then moves on.
              const weight = 3 ** instruction.guard;
              if (Math.floor(guards / weight) % 3 === 2) {
                pc = next;
                break;
              }
              inside += weight;
            }
            const kind = isLongest ? "unlessFound" : "try";
            pending.push({ kind, pc: next, at, saved, guards, wasFound: false });
            pc = instruction.body;
            guards = inside;
            break;
          }
        }
      }
      for (;;) {
        const todo = pending.pop();
        if (todo === undefined) return;
        if (todo.kind === "note") {
          if (isFound) this.#note(todo.pc, todo.at, todo.guards);
          else isFound = todo.wasFound;
          continue;
        }
        if (todo.kind === "join") {
          isFound ||= todo.wasFound;
          continue;
        }
        if (todo.kind === "unlessFound" && isFound) continue;
        if (todo.kind === "second") {
          pending.push({ kind: "join", pc: 0, at: 0, saved: null, guards: 0, wasFound: isFound });
          isFound = false;
        }
        ({ pc, at, saved, guards } = todo);
        break;
      }
    }
  }

  /** Marks a branch at a position as visited, and says what an earlier visit found. */
  #visit(branch: number, at: number, guards: number): typeof NEW | typeof SEEN | typeof SEEN_FOUND {
    const index = branch * this.#size + at;
    if (guards !== 0) {
      const key = guards * this.#program.branchCount * this.#size + index;
      const known = this.#guarded.get(key);
      if (known !== undefined) return known ? SEEN_FOUND : SEEN;
      this.#guarded.set(key, false);
      return NEW;
    }
    const byte = Math.floor(index / 8);
    const bit = 1 << (index % 8);
    const flags = this.#seen[byte]!;
    if ((flags & bit) !== 0) return this.#isLongest && (this.#found[byte]! & bit) !== 0 ? SEEN_FOUND : SEEN;
    if (flags === 0) this.#touched.push(byte);
    this.#seen[byte] = flags | bit;
    return NEW;
  }

  #note(branch: number, at: number, guards: number): void {
    const index = branch * this.#size + at;
    if (guards === 0) this.#found[Math.floor(index / 8)]! |= 1 << (index % 8);
    else this.#guarded.set(guards * this.#program.branchCount * this.#size + index, true);
  }

  #clear(): void {
    for (const byte of this.#touched) {
      this.#seen[byte] = 0;
      this.#found[byte] = 0;
    }
    this.#touched = [];
    this.#guarded.clear();
  }
}
