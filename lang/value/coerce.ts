import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import { formatFixed } from "../print/floats.ts";
import { call1 } from "./call.ts";
import { calls, checkLevels, enterLevel } from "./callDepth.ts";
import { describeValue, showType } from "./describe.ts";
import { addFrame, evalError } from "./error.ts";
import { force } from "./force.ts";
import { NO_POS, type Pos } from "./position.ts";
import { canonicalPath } from "./path.ts";
import { pathUse } from "./pathUse.ts";
import type { Runtime } from "./runtime.ts";
import {
  AttrSet,
  ContextString,
  Float,
  PathValue,
  isList,
  isStringValue,
  type Slot,
  type Value,
} from "./value.ts";

/** A string with the given context; plain when that is empty. */
export function makeString(
  text: ByteString,
  context: ReadonlySet<ContextElement> | null,
): string | ContextString {
  return context === null || context.size === 0 ? text : new ContextString(text, context);
}

const NO_CONTEXT: ReadonlySet<ContextElement> = new Set();

export function contextOf(value: string | ContextString): ReadonlySet<ContextElement> {
  return typeof value === "string" ? NO_CONTEXT : value.context;
}

export function textOf(value: string | ContextString): ByteString {
  return typeof value === "string" ? value : value.text;
}

export interface CoerceOptions {
  /** Also numbers, booleans, null and lists, as `toString` and derivation attributes do. */
  readonly more?: boolean;
  /** A path becomes a store path (the default); else it stays a path's text. */
  readonly copyToStore?: boolean;
}

const DEFAULT_OPTIONS: CoerceOptions = {};

/**
 * Turns a value into a string as the language does.
 * @param context gets the contexts of all strings used
 * @param frame the frame added to failures
 */
export function coerceToString(
  runtime: Runtime,
  slot: Slot,
  context: Set<ContextElement>,
  pos: Pos,
  frame: string,
  options: CoerceOptions = DEFAULT_OPTIONS,
): ByteString {
  if (typeof slot === "string") return slot;
  enterLevel(pos);
  const text = coerce(runtime, force(slot, pos), context, pos, frame, options);
  calls.depth--;
  return text;
}

function coerce(
  runtime: Runtime,
  value: Value,
  context: Set<ContextElement>,
  pos: Pos,
  frame: string,
  options: CoerceOptions,
): ByteString {
  if (typeof value === "string") return value;
  if (value instanceof ContextString) {
    for (const element of value.context) context.add(element);
    return value.text;
  }
  if (value instanceof PathValue) {
    pathUse.tell?.(value.path);
    return options.copyToStore === false ? trimSlash(value.path) : runtime.copyToStore(value.path, context);
  }
  if (value instanceof AttrSet)
    return peelSet(value, pos, false, (peeled) => {
      if (peeled instanceof AttrSet) throw cannotCoerce(peeled, pos, frame);
      return coerceToString(runtime, peeled, context, pos, frame, options);
    });
  if (options.more === true) {
    if (value === true) return "1";
    if (value === false || value === null) return "";
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    if (value instanceof Float) return formatFixed(value.value);
    if (isList(value)) {
      let text = "";
      for (let i = 0; i < value.length; i++) {
        try {
          text += coerceToString(
            runtime,
            value[i]!,
            context,
            pos,
            "while evaluating one element of the list",
            options,
          );
        } catch (error) {
          throw addFrame(error, frame, pos);
        }
        const item = force(value[i]!);
        if (i < value.length - 1 && !(isList(item) && item.length === 0)) text += " ";
      }
      return text;
    }
  }
  throw cannotCoerce(value, pos, frame);
}

/**
 * Follows `__toString` and `outPath` to what a set stands for, and uses that: its failures get frames that tell the
 * way. A set with neither is used as it is.
 * @param checksReturn whether `__toString` must lead to a string
 */
export function peelSet<R>(
  set: AttrSet,
  pos: Pos,
  checksReturn: boolean,
  use: (value: Value, cameThroughToString: boolean) => R,
): R {
  let levels = 0;
  const follow = (result: Value, to: Pos, cameThrough: boolean, at: Pos): R => {
    checkLevels(++levels, at);
    enterLevel(at);
    const used = peel(result, to, cameThrough);
    calls.depth--;
    return used;
  };
  const peel = (value: Value, at: Pos, cameThrough: boolean): R => {
    if (!(value instanceof AttrSet)) {
      if (checksReturn && cameThrough && !isStringValue(value) && !(value instanceof PathValue))
        throw notAString(value, at);
      return use(value, cameThrough);
    }
    const toString = value.get("__toString");
    if (toString !== undefined) {
      const toStringPos = value.posOf("__toString");
      let result: Value;
      try {
        result = call1(force(toString, toStringPos), value, toStringPos);
      } catch (error) {
        throw addFrame(error, "while calling the `__toString` attribute", toStringPos);
      }
      try {
        return follow(result, toStringPos, true, at);
      } catch (error) {
        throw addFrame(error, "while using the result of the `__toString` attribute", toStringPos);
      }
    }
    const outPath = value.get("outPath");
    if (outPath === undefined) {
      if (checksReturn && cameThrough) throw notAString(value, at);
      return use(value, cameThrough);
    }
    const outPathPos = value.posOf("outPath");
    let doing = "evaluating";
    try {
      const result = force(outPath, outPathPos);
      doing = "using";
      return follow(result, outPathPos, cameThrough, at);
    } catch (error) {
      throw addFrame(error, `while ${doing} the \`outPath\` attribute`, outPathPos);
    }
  };
  return peel(set, pos, false);
}

function notAString(value: Value, pos: Pos): Error {
  return evalError(
    "type",
    `\`__toString\` should return a string, but got ${showType(value)}: ${describeValue(value)}`,
    pos,
  );
}

function cannotCoerce(value: Value, pos: Pos, frame: string): Error {
  return evalError("type", `cannot coerce ${showType(value)} to a string: ${describeValue(value)}`, NO_POS, {
    frame,
    framePos: pos,
  });
}

/** Like `coerceToString`, as a value with its context. */
export function coerceToStringValue(
  runtime: Runtime,
  slot: Slot,
  pos: Pos,
  frame: string,
  options: CoerceOptions = DEFAULT_OPTIONS,
): string | ContextString {
  if (typeof slot === "string") return slot;
  enterLevel(pos);
  const value = force(slot, pos);
  calls.depth--;
  if (typeof value === "string" || value instanceof ContextString) return value;
  const context = new Set<ContextElement>();
  return makeString(coerceToString(runtime, value, context, pos, frame, options), context);
}

/** An absolute path from a path, or a string (or set) that holds one. */
export function coerceToPath(
  runtime: Runtime,
  slot: Slot,
  context: Set<ContextElement>,
  pos: Pos,
  frame: string,
): ByteString {
  const value = force(slot, pos);
  if (value instanceof AttrSet)
    return peelSet(value, pos, false, (peeled) => pathOf(runtime, peeled, context, pos, frame));
  return pathOf(runtime, value, context, pos, frame);
}

function pathOf(
  runtime: Runtime,
  value: Value,
  context: Set<ContextElement>,
  pos: Pos,
  frame: string,
): ByteString {
  if (value instanceof PathValue) {
    pathUse.tell?.(value.path);
    return trimSlash(value.path);
  }
  const path = coerceToString(runtime, value, context, pos, frame, { copyToStore: false });
  if (!path.startsWith("/"))
    throw evalError("eval", `string '${path}' doesn't represent an absolute path`, NO_POS, {
      frame,
      framePos: pos,
    });
  return canonicalPath(path);
}

function trimSlash(path: ByteString): ByteString {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
