import { bytesOfText, type ByteString, shownUrl } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { printJson } from "../print/index.ts";
import type { Expr } from "../syntax/index.ts";
import {
  AttrSet,
  Lambda,
  PathValue,
  Thunk,
  addFrame,
  canonicalPath,
  evalError,
  force,
  forceStringNoContext,
  isFunctionValue,
  isInteger,
  isList,
  isStringValue,
  peek,
  showPos,
  showType,
  textOf,
  type Pos,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { parseFlakeReference, type FlakeAttributes } from "./flakeReference.ts";
import type { InputPath } from "./lockFile.ts";
import { flakeReference, showReference, type FlakeReference } from "./reference.ts";
import type { Flake, FlakeInput, FlakeInputs, FlakeSetting } from "./types.ts";

export interface FlakePlace {
  readonly original: FlakeReference;
  readonly resolved: FlakeReference;
  readonly locked: FlakeReference;
  /** The flake's directory, in the store. */
  readonly directory: ByteString;
  /** What `follows` in it is relative to. */
  readonly lockPath: InputPath;
}

/** A value and the expression it was written as. */
interface Written {
  readonly slot: Slot;
  /** `undefined` where the value is not spelled out there. */
  readonly expr: Expr | undefined;
  readonly pos: Pos;
}

/**
 * Reads `flake.nix`. All but its outputs must be spelled out: it may compute nothing.
 * @throws EvalError where it is missing, or not laid out as a flake
 */
export function readFlake(runtime: Runtime, place: FlakePlace): Flake {
  const { directory, resolved, lockPath } = place;
  const file = canonicalPath(`${directory}/flake.nix`);
  if (runtime.host.fileType(file) === undefined)
    throw failure(runtime.host.explainMissing?.(file) ?? `path '${file}' does not exist`);
  const expr = runtime.parseFile(file);
  if (expr.kind !== "attrs")
    throw addFrame(
      failure(`file '${file}' must be an attribute set`),
      `while evaluating the file '${file}':`,
    );
  const top = runtime.importFile(file, 0);
  if (!(top instanceof AttrSet)) throw failure(`file '${file}' must be an attribute set`);
  const reader = new FlakeReader(runtime, directory, lockPath);
  const parts = new Map(reader.members({ slot: top, expr, pos: expr.pos }, top));
  const description = parts.get("description");
  const inputs = parts.get("inputs");
  const read =
    inputs === undefined
      ? { inputs: new Map<string, FlakeInput>(), self: new Map() }
      : reader.inputs(inputs, true);
  const outputs = parts.get("outputs");
  if (outputs === undefined)
    throw failure(`flake '${shownUrl(showReference(resolved))}' lacks attribute 'outputs'`);
  for (const name of reader.outputsArguments(outputs))
    if (name !== "self" && !read.inputs.has(name))
      read.inputs.set(name, {
        reference: flakeReference(parseFlakeReference(name)),
        isFlake: true,
        follows: undefined,
        overrides: new Map(),
      });
  const settings = parts.get("nixConfig");
  const flake: Flake = {
    ...place,
    description: description === undefined ? undefined : reader.string(description),
    inputs: read.inputs,
    selfAttributes: read.self,
    settings: settings === undefined ? new Map() : reader.settings(settings),
  };
  for (const [name, { pos }] of parts)
    if (!PARTS.has(name))
      throw failure(
        `flake '${shownUrl(showReference(resolved))}' has an unsupported attribute '${name}', at ${showPos(pos)}`,
      );
  return flake;
}

const PARTS = new Set(["description", "inputs", "outputs", "nixConfig"]);

class FlakeReader {
  readonly #runtime: Runtime;
  readonly #directory: ByteString;
  readonly #lockPath: InputPath;

  constructor(runtime: Runtime, directory: ByteString, lockPath: InputPath) {
    this.#runtime = runtime;
    this.#directory = directory;
    this.#lockPath = lockPath;
  }

  members({ expr }: Written, set: AttrSet): [string, Written][] {
    const found: [string, Written][] = [];
    const defs = expr?.kind === "attrs" ? expr.defs : [];
    set.forEachSorted((name, slot, pos) => {
      const def = defs.find((each) => each.name === name);
      found.push([name, { slot, expr: def?.kind === "plain" ? def.value : undefined, pos }]);
    });
    return found;
  }

  string(written: Written): string {
    const value = this.#value(written);
    if (value === undefined || !isStringValue(value)) throw this.#unexpected("a string", value, written.pos);
    return textOf(value);
  }

  inputs(
    written: Written,
    allowsSelf: boolean,
  ): { readonly inputs: Map<string, FlakeInput>; readonly self: FlakeAttributes } {
    const inputs = new Map<string, FlakeInput>();
    const self: FlakeAttributes = new Map();
    for (const [name, input] of this.members(written, this.#set(written))) {
      if (name !== "self") inputs.set(name, this.#input(input));
      else if (allowsSelf)
        for (const [attribute, value] of this.members(input, this.#set(input)))
          this.#attribute(self, attribute, value);
      else throw failure(`'self' input attribute not allowed at ${showPos(input.pos)}`);
    }
    return { inputs, self };
  }

  outputsArguments(written: Written): string[] {
    const value = this.#value(written);
    if (value === undefined || !isFunctionValue(value))
      throw this.#unexpected("a function", value, written.pos);
    return value instanceof Lambda ? (value.code.formals ?? []).map(({ name }) => name) : [];
  }

  settings(written: Written): Map<string, FlakeSetting> {
    const settings = new Map<string, FlakeSetting>();
    for (const [name, setting] of this.members(written, this.#set(written)))
      settings.set(name, this.#setting(name, setting));
    return settings;
  }

  #setting(name: string, written: Written): FlakeSetting {
    const value = this.#value(written);
    if (value !== undefined) {
      if (isStringValue(value)) return forceStringNoContext(value, written.pos, "");
      if (value instanceof PathValue) return this.#runtime.copyToStore(value.path, new Set());
      if (isInteger(value)) return BigInt(value);
      if (typeof value === "boolean") return value;
      if (isList(value))
        return value.map((item) => {
          const element = force(item, written.pos);
          if (!isStringValue(element))
            throw evalError(
              "type",
              `list element in flake configuration setting '${name}' is ${showType(value)} while a string is expected`,
            );
          return forceStringNoContext(element, written.pos, "");
        });
    }
    throw evalError("type", `flake configuration setting '${name}' is ${typeOf(value)}`);
  }

  #input(written: Written): FlakeInput {
    const attributes: FlakeAttributes = new Map();
    let url: string | undefined;
    let isFlake = true;
    let follows: InputPath | undefined;
    let overrides: FlakeInputs = new Map();
    for (const [name, attribute] of this.members(written, this.#set(written)))
      try {
        if (name === "url") {
          url = this.#url(attribute);
          attributes.set("url", url);
        } else if (name === "flake") {
          const value = this.#value(attribute);
          if (typeof value !== "boolean") throw this.#unexpected("a Boolean", value, attribute.pos);
          isFlake = value;
        } else if (name === "inputs") overrides = this.inputs(attribute, false).inputs;
        else if (name === "follows") follows = [...this.#lockPath, ...parseInputPath(this.string(attribute))];
        else this.#attribute(attributes, name, attribute);
      } catch (error) {
        throw addFrame(error, `while evaluating flake attribute '${name}'`, attribute.pos);
      }
    const reference = this.#reference(attributes, url, isFlake, written.pos);
    if (reference !== undefined && follows !== undefined)
      throw failure(
        `flake input has both a flake reference and a follows attribute, at ${showPos(written.pos)}`,
      );
    return { reference, isFlake, follows, overrides };
  }

  #reference(
    attributes: FlakeAttributes,
    url: string | undefined,
    isFlake: boolean,
    pos: Pos,
  ): FlakeReference | undefined {
    if (attributes.has("type"))
      try {
        return flakeReference(attributes);
      } catch (error) {
        throw addFrame(error, "while evaluating flake input", pos);
      }
    attributes.delete("url");
    const [first] = [...attributes.keys()].toSorted();
    if (first !== undefined) throw failure(`unexpected flake input attribute '${first}', at ${showPos(pos)}`);
    if (url === undefined) return undefined;
    return flakeReference(parseFlakeReference(url, { isRelativeAllowed: true, isFlake }));
  }

  #url(written: Written): string {
    const value = this.#value(written);
    if (value !== undefined && isStringValue(value)) return textOf(value);
    if (value instanceof PathValue) return `path:${this.#relative(value.path)}`;
    throw failure(`expected a string or a path but got ${typeOf(value)} at ${showPos(written.pos)}`);
  }

  /** From the flake's directory to another place; whether that is in its tree is seen when it is locked. */
  #relative(path: ByteString): ByteString {
    const from = this.#directory.split("/");
    const to = path.split("/");
    let common = 0;
    while (common < from.length && common < to.length && from[common] === to[common]) common++;
    const steps = [...from.slice(common).map(() => ".."), ...to.slice(common)];
    return steps.length === 0 ? "." : steps.join("/");
  }

  #attribute(attributes: FlakeAttributes, name: string, written: Written): void {
    const value = this.#value(written);
    if (value !== undefined && isStringValue(value)) attributes.set(name, textOf(value));
    else if (typeof value === "boolean") attributes.set(name, value);
    else if (value !== undefined && isInteger(value)) {
      if (value < 0) throw failure(`negative value given for flake input attribute ${name}: ${value}`);
      attributes.set(name, BigInt(value));
    } else if (name === "publicKeys" && value !== undefined)
      attributes.set(name, printJson(this.#runtime, value, new Set(), written.pos));
    else
      throw evalError(
        "type",
        `flake input attribute '${name}' is ${typeOf(value)} while a string, Boolean, or integer is expected`,
      );
  }

  #set(written: Written): AttrSet {
    const value = this.#value(written);
    if (!(value instanceof AttrSet)) throw this.#unexpected("a set", value, written.pos);
    return value;
  }

  /** The value, where it is spelled out; else `undefined`. */
  #value({ slot, expr, pos }: Written): Value | undefined {
    if (slot instanceof Thunk && (expr === undefined || !isTrivial(expr))) return peek(slot);
    return force(slot, pos);
  }

  #unexpected(expected: string, value: Value | undefined, pos: Pos): Error {
    return failure(`expected ${expected} but got ${typeOf(value)} at ${showPos(pos)}`);
  }
}

function typeOf(value: Value | undefined): string {
  return value === undefined ? "a thunk" : showType(value);
}

function isTrivial(expr: Expr): boolean {
  switch (expr.kind) {
    case "int":
    case "float":
    case "string":
    case "path":
    case "lambda":
    case "list":
    case "var":
      return true;
    case "attrs":
      return expr.dynamic.length === 0;
    default:
      return false;
  }
}

/** Reads `nixpkgs/lib`. @throws EvalError */
export function parseInputPath(text: string): InputPath {
  const steps = text.split("/").filter((step) => step !== "");
  for (const step of steps)
    if (!/^[a-zA-Z][a-zA-Z0-9_-]*$/.test(step))
      throw evalError("usage", `invalid flake input attribute path element '${bytesOfText(step)}'`);
  return steps;
}
