import {
  ContextString,
  NO_POS,
  calls,
  claimWords,
  coerceToString,
  coerceToStringValue,
  contextOf,
  force,
  forceInt,
  forceList,
  forceString,
  forceStringNoContext,
  forceStringValue,
  makeString,
  textOf,
  AttrSet,
  shapeOf,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, define2, define3, failure, type Definition } from "./define.ts";
import { cachedRegex, RegexError, type Groups, type Regex } from "./regex/regex.ts";
import { compareVersions, parseDerivationName, splitVersion } from "./versions.ts";

const NAME_SHAPE = shapeOf(["name", "version"]);

export function stringBuiltins(runtime: Runtime): readonly Definition[] {
  return [
    define1(
      "toString",
      "e",
      "A value as a string: also numbers, Booleans, `null`, lists; a path is not copied to the store.",
      (_, e) => {
        if (typeof e === "string") return e;
        if (typeof e === "number") return String(e);
        calls.depth++;
        const value = force(e);
        calls.depth--;
        if (typeof value === "string") return value;
        if (typeof value === "number") return String(value);
        return coerceToStringValue(
          runtime,
          value,
          NO_POS,
          "while evaluating the first argument passed to builtins.toString",
          { more: true, copyToStore: false },
        );
      },
      { isGlobal: true },
    ),
    define3(
      "substring",
      "start len s",
      "Part of a string, by bytes; a negative length reaches to the end.",
      (_, start, len, s) => {
        const from = forceInt(
          start,
          NO_POS,
          "while evaluating the first argument (the start offset) passed to builtins.substring",
        );
        if (from < 0) throw failure("negative start position in 'substring'");
        const length = forceInt(
          len,
          NO_POS,
          "while evaluating the second argument (the substring length) passed to builtins.substring",
        );
        calls.depth++;
        const value = force(s);
        calls.depth--;
        if (typeof value === "string") return slice(value, from, length);
        if (length === 0 && value instanceof ContextString) return new ContextString("", value.context);
        const whole = coerceToStringValue(
          runtime,
          value,
          NO_POS,
          "while evaluating the third argument (the string) passed to builtins.substring",
        );
        return makeString(slice(textOf(whole), from, length), contextOf(whole));
      },
    ),
    define1("stringLength", "e", "The length of a string in bytes.", (_, e) => {
      calls.depth++;
      const value = force(e);
      calls.depth--;
      if (typeof value === "string") return value.length;
      return coerceToString(
        runtime,
        value,
        new Set(),
        NO_POS,
        "while evaluating the argument passed to builtins.stringLength",
      ).length;
    }),
    define2("concatStringsSep", "separator list", "Joins strings with a separator.", (_, separator, list) => {
      const separatorValue = forceStringValue(
        separator,
        NO_POS,
        "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep",
      );
      const items = forceList(
        list,
        NO_POS,
        "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep",
      );
      return joinStrings(runtime, separatorValue, items);
    }),
    define3(
      "replaceStrings",
      "from to s",
      "Replaces, at each place of a string, the first of several strings that matches there.",
      (_, from, to, s) => replaceStrings(from, to, s),
    ),
    define2(
      "match",
      "regex str",
      "The groups of an extended POSIX expression that matches a whole string, or `null`.",
      (_, regex, str) => {
        const pattern = forceStringNoContext(
          regex,
          NO_POS,
          "while evaluating the first argument passed to builtins.match",
        );
        const compiled = compile(pattern);
        const text = forceString(
          str,
          NO_POS,
          "while evaluating the second argument passed to builtins.match",
        );
        const groups = guard(pattern, () => compiled.matchWhole(text));
        return groups === undefined ? null : groupsList(groups);
      },
    ),
    define2(
      "split",
      "regex str",
      "The parts of a string between matches, with the lists of the matches' groups.",
      (_, regex, str) => {
        const pattern = forceStringNoContext(
          regex,
          NO_POS,
          "while evaluating the first argument passed to builtins.split",
        );
        const compiled = compile(pattern);
        const value = forceStringValue(
          str,
          NO_POS,
          "while evaluating the second argument passed to builtins.split",
        );
        const text = textOf(value);
        const parts: Slot[] = [];
        let last = 0;
        guard(pattern, () =>
          compiled.forEachMatch(text, (start, end, groups) => {
            parts.push(text.slice(last, start), groupsList(groups));
            last = end;
          }),
        );
        if (parts.length === 0) return [value];
        parts.push(text.slice(last));
        return parts;
      },
    ),
    define1("parseDrvName", "s", "Splits a package name into `name` and `version`.", (_, s) => {
      const { name, version } = parseDerivationName(
        forceStringNoContext(
          s,
          NO_POS,
          "while evaluating the first argument passed to builtins.parseDrvName",
        ),
      );
      return new AttrSet(NAME_SHAPE, [name, version]);
    }),
    define2(
      "compareVersions",
      "s1 s2",
      "-1, 0 or 1, as the first version is older, equal or newer.",
      (_, s1, s2) => {
        const first = forceStringNoContext(
          s1,
          NO_POS,
          "while evaluating the first argument passed to builtins.compareVersions",
        );
        return compareVersions(
          first,
          forceStringNoContext(
            s2,
            NO_POS,
            "while evaluating the second argument passed to builtins.compareVersions",
          ),
        );
      },
    ),
    define1("splitVersion", "s", "The components of a version.", (_, s) =>
      splitVersion(
        forceStringNoContext(
          s,
          NO_POS,
          "while evaluating the first argument passed to builtins.splitVersion",
        ),
      ),
    ),
  ];
}

function slice(text: string, from: number | bigint, length: number | bigint): string {
  if (from >= text.length) return "";
  const start = Number(from);
  return length < 0 ? text.slice(start) : text.slice(start, start + Number(length));
}

const ELEMENT =
  "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep";

function joinStrings(runtime: Runtime, separator: string | ContextString, items: readonly Slot[]): Value {
  const between = textOf(separator);
  let context: Set<string> | null = separator instanceof ContextString ? new Set(separator.context) : null;
  // What is joined piece by piece need not outlive its piece.
  const pieces: string[] = [];
  let texts: string[] = [];
  let size = between.length * items.length;
  calls.depth++;
  for (let i = 0; i < items.length; i++) {
    const item = force(items[i]!);
    const text =
      typeof item === "string"
        ? item
        : coerceToString(runtime, item, (context ??= new Set()), NO_POS, ELEMENT);
    size += text.length;
    texts.push(text);
    if (texts.length === PIECE) {
      pieces.push(texts.join(between));
      texts = [];
    }
  }
  calls.depth--;
  claimWords(items.length + size / 8);
  const rest = texts.join(between);
  if (pieces.length === 0) return makeString(rest, context);
  if (texts.length > 0) pieces.push(rest);
  return makeString(pieces.join(between), context);
}

/** Strings that are joined at a time. */
const PIECE = 1 << 13;

const REPLACED = "while evaluating one of the strings to replace passed to builtins.replaceStrings";
const REPLACEMENT = "while evaluating one of the replacement strings passed to builtins.replaceStrings";

function replaceStrings(fromSlot: Slot, toSlot: Slot, s: Slot): Value {
  const from = forceList(
    fromSlot,
    NO_POS,
    "while evaluating the first argument passed to builtins.replaceStrings",
  );
  const to = forceList(
    toSlot,
    NO_POS,
    "while evaluating the second argument passed to builtins.replaceStrings",
  );
  if (from.length !== to.length)
    throw failure("'from' and 'to' arguments passed to builtins.replaceStrings have different lengths");
  const patterns = new Array<string>(from.length);
  for (let i = 0; i < patterns.length; i++) patterns[i] = forceString(from[i]!, NO_POS, REPLACED);
  const value = forceStringValue(
    s,
    NO_POS,
    "while evaluating the third argument passed to builtins.replaceStrings",
  );
  const text = textOf(value);
  let context: Set<string> | null = value instanceof ContextString ? new Set(value.context) : null;
  const replacements = new Array<string | undefined>(to.length);
  const replacementAt = (i: number): string => {
    const known = replacements[i];
    if (known !== undefined) return known;
    const replacement = forceStringValue(to[i]!, NO_POS, REPLACEMENT);
    if (replacement instanceof ContextString) {
      context ??= new Set();
      for (const element of replacement.context) context.add(element);
    }
    return (replacements[i] = textOf(replacement));
  };
  let result: string;
  claimWords(text.length / 8);
  if (patterns.length === 1 && patterns[0] !== "" && text.length < HUGE_TEXT) {
    const only = patterns[0]!;
    result = text.includes(only) ? text.split(only).join(replacementAt(0)) : text;
  } else result = replaceMany(text, patterns, replacementAt);
  if (context === null) return result;
  return makeString(result, context);
}

/** From this length on a text is not split into its parts, whose strings may take much more memory than it does. */
const HUGE_TEXT = 1 << 20;

/** The patterns that start with each byte, in order; an empty pattern starts with all. */
function indexByFirstByte(patterns: readonly string[]): (number[] | undefined)[] {
  const index = new Array<number[] | undefined>(256).fill(undefined);
  const empty = patterns.indexOf("");
  const limit = empty < 0 ? patterns.length : empty;
  for (let i = 0; i < limit; i++) (index[patterns[i]!.charCodeAt(0)] ??= []).push(i);
  return index;
}

function replaceMany(
  text: string,
  patterns: readonly string[],
  replacementAt: (i: number) => string,
): string {
  const index = indexByFirstByte(patterns);
  const empty = patterns.indexOf("");
  if (empty < 0 && text.length >= LONG_TEXT) return replaceInBytes(text, patterns, index, replacementAt);
  let result = "";
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const candidates = index[text.charCodeAt(at)];
    let found = -1;
    if (candidates !== undefined)
      for (let k = 0; k < candidates.length; k++)
        if (text.startsWith(patterns[candidates[k]!]!, at)) {
          found = candidates[k]!;
          break;
        }
    if (found >= 0) {
      result += text.slice(copied, at) + replacementAt(found);
      at += patterns[found]!.length;
      copied = at;
    } else {
      if (empty >= 0) {
        result += text.slice(copied, at) + replacementAt(empty);
        copied = at;
      }
      at++;
    }
  }
  result += text.slice(copied);
  // The empty string matches once more at the end.
  return empty >= 0 ? result + replacementAt(empty) : result;
}

/** From this length on texts are replaced byte by byte, without a string for each part. */
const LONG_TEXT = 4096;

function replaceInBytes(
  text: string,
  patterns: readonly string[],
  index: readonly (readonly number[] | undefined)[],
  replacementAt: (i: number) => string,
): string {
  const input = Buffer.from(text, "latin1");
  const wanted = patterns.map((pattern) => Buffer.from(pattern, "latin1"));
  let output = Buffer.allocUnsafe(input.length + (input.length >> 2));
  let size = 0;
  for (let at = 0; at < input.length;) {
    const byte = input[at]!;
    const candidates = index[byte];
    let found = -1;
    if (candidates !== undefined)
      for (let k = 0; k < candidates.length && found < 0; k++)
        if (startsWithAt(input, wanted[candidates[k]!]!, at)) found = candidates[k]!;
    const replacement = found < 0 ? "" : replacementAt(found);
    if (size + Math.max(1, replacement.length) > output.length)
      output = Buffer.concat([output.subarray(0, size)], (size + replacement.length) * 2);
    if (found < 0) {
      output[size++] = byte;
      at++;
    } else {
      for (let i = 0; i < replacement.length; i++) output[size++] = replacement.charCodeAt(i);
      at += wanted[found]!.length;
    }
  }
  return output.toString("latin1", 0, size);
}

function startsWithAt(input: Uint8Array, wanted: Uint8Array, at: number): boolean {
  if (at + wanted.length > input.length) return false;
  for (let i = 1; i < wanted.length; i++) if (input[at + i] !== wanted[i]) return false;
  return true;
}

function compile(pattern: string): Regex {
  return guard(pattern, () => cachedRegex(pattern));
}

function guard<T>(pattern: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw failure(
      error.reason === "space"
        ? `memory limit exceeded by regular expression '${pattern}'`
        : `invalid regular expression '${pattern}'`,
    );
  }
}

function groupsList(groups: Groups): Slot[] {
  const list = new Array<Slot>(groups.length);
  for (let i = 0; i < list.length; i++) list[i] = groups[i] ?? null;
  return list;
}
