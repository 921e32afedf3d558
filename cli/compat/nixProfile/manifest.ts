import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, bytesOfText, type ByteString } from "../../../core/index.ts";
import {
  EMPTY_SET,
  flakeReference,
  parseFlakeReference,
  quoteJson,
  showReference,
  type FlakeReference,
} from "../../../lang/index.ts";
import { isStorePath, parseStorePath } from "../../../store/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { findPackages } from "../nixEnv/findPackages.ts";
import type { Outputs } from "../nix/outputs.ts";
import { identifierOf, nameOfElement } from "./elementName.ts";
import type { ElementSource, ProfileElement, ProfileManifest } from "./types.ts";

export const DEFAULT_PRIORITY = 5;
const MAX_MANIFEST_BYTES = 64 << 20;

/** What `nix profile`, or `nix-env`, has installed in a profile; empty where there is none. */
export function readManifest(
  profile: string,
  storeDir: string,
  evaluation: () => CompatEvaluation,
): ProfileManifest {
  const file = join(profile, "manifest.json");
  if (existsSync(file)) {
    const text = readFileSync(file);
    if (text.length > MAX_MANIFEST_BYTES) throw manifestError(file, "it is too large");
    return parseManifest(text.toString("utf8"), file, storeDir);
  }
  const old = join(profile, "manifest.nix");
  return existsSync(old) ? manifestOfUserEnvironment(old, evaluation()) : new Map();
}

/** Reads `manifest.json`, versions 1 to 3. @throws {DevshellError} `CLI_PROFILE` */
export function parseManifest(text: string, file: string, storeDir: string): ProfileManifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw manifestError(file, (error as Error).message);
  }
  if (!isRecord(json)) throw manifestError(file, "it is no object");
  const { version = 0, elements = {} } = json;
  if (version !== 1 && version !== 2 && version !== 3)
    throw new DevshellError(
      "CLI_PROFILE",
      `profile manifest "${file}" has unsupported version ${String(version)}`,
    );
  const urls = version === 1 ? (["originalUri", "uri"] as const) : (["originalUrl", "url"] as const);
  const parsed = new Map<string, ProfileElement>();
  if (Array.isArray(elements))
    for (const each of elements) {
      const element = parseElement(each, file, storeDir, urls);
      addElement(parsed, nameOfElement(element), element);
    }
  else if (isRecord(elements))
    for (const [name, each] of Object.entries(elements))
      addElement(parsed, name, parseElement(each, file, storeDir, urls));
  else throw manifestError(file, '"elements" is neither a list nor an object');
  return sorted(parsed);
}

/** As Nix writes it, to the byte. */
export function printManifest(manifest: ProfileManifest): ByteString {
  const elements = [...sorted(manifest)].map(
    ([name, element]) => `${quoteJson(bytesOfText(name))}:${printElement(element)}`,
  );
  return `{"elements":{${elements.join()}},"version":3}`;
}

/** Adds an element under a name that is still free: `name`, `name-1`, … */
export function addElement(
  elements: Map<string, ProfileElement>,
  name: string,
  element: ProfileElement,
): void {
  let free = name;
  for (let i = 1; elements.has(free); i++) free = `${name}-${i}`;
  elements.set(free, element);
}

/** In the order of the names' bytes. */
export function sorted(manifest: ProfileManifest): ProfileManifest {
  return new Map(
    [...manifest].sort(([a], [b]) => {
      const [one, other] = [bytesOfText(a), bytesOfText(b)];
      return one < other ? -1 : one > other ? 1 : 0;
    }),
  );
}

function printElement({ storePaths, source, isActive, priority }: ProfileElement): ByteString {
  const fields: [string, ByteString][] = [["active", String(isActive)]];
  if (source !== undefined)
    fields.push(
      ["attrPath", quoteJson(bytesOfText(source.attrPath))],
      ["originalUrl", quoteJson(showReference(source.original))],
      ["outputs", printOutputs(source.outputs)],
    );
  fields.push(["priority", String(priority)], ["storePaths", `[${storePaths.map(quoteJson).join()}]`]);
  if (source !== undefined) fields.push(["url", quoteJson(showReference(source.locked))]);
  return `{${fields.map(([name, value]) => `"${name}":${value}`).join()}}`;
}

function printOutputs(outputs: Outputs): ByteString {
  if (outputs === undefined) return "null";
  return outputs === "*" ? '["*"]' : `[${outputs.map(quoteJson).join()}]`;
}

function parseElement(
  json: unknown,
  file: string,
  storeDir: string,
  [originalName, lockedName]: readonly [string, string],
): ProfileElement {
  const fail = (what: string): never => {
    throw manifestError(file, what);
  };
  if (!isRecord(json)) return fail("an element is no object");
  const { storePaths, active, priority = DEFAULT_PRIORITY } = json;
  if (!isStrings(storePaths)) return fail('"storePaths" of an element is no list of strings');
  if (typeof active !== "boolean") return fail('"active" of an element is neither true nor false');
  if (typeof priority !== "number" || !Number.isSafeInteger(priority))
    return fail('"priority" of an element is no integer');
  const paths = storePaths.map((path) =>
    isStorePath(storeDir, path) ? path : fail(`"${path}" is not in the store "${storeDir}"`),
  );
  return {
    storePaths: [...new Set(paths)].sort(),
    source: parseSource(json, fail, json[originalName], json[lockedName]),
    isActive: active,
    priority,
  };
}

function parseSource(
  json: Readonly<Record<string, unknown>>,
  fail: (what: string) => never,
  original: unknown,
  locked: unknown,
): ElementSource | undefined {
  if (locked === undefined || locked === "") return undefined;
  const { attrPath, outputs = null } = json;
  if (typeof locked !== "string" || typeof original !== "string" || typeof attrPath !== "string")
    return fail("the URLs and the attribute path of an element must be strings");
  if (outputs !== null && !isStrings(outputs)) return fail('"outputs" of an element is no list of strings');
  return {
    original: readReference(original),
    locked: readReference(locked),
    attrPath,
    outputs: outputs === null ? undefined : outputs.join() === "*" ? "*" : [...new Set(outputs)].sort(),
  };
}

function readReference(url: string): FlakeReference {
  return flakeReference(parseFlakeReference(bytesOfText(url)));
}

/** The packages of `nix-env`: they are kept, and can be removed, but not upgraded. */
function manifestOfUserEnvironment(file: string, evaluation: CompatEvaluation): ProfileManifest {
  const { evaluator } = evaluation;
  // In the store, where pure evaluation may read it.
  const value = evaluator.evalFile(bytesOfText(realpathSync(file)));
  const elements = new Map<string, ProfileElement>();
  const options = { autoArguments: EMPTY_SET, prefix: "", skipsFailures: false };
  for (const each of findPackages(evaluator, value, options)) {
    const path = parseStorePath(evaluator.runtime.host.storeDir, each.outPath);
    const element: ProfileElement = {
      storePaths: [path],
      source: undefined,
      isActive: true,
      priority: DEFAULT_PRIORITY,
    };
    addElement(elements, identifierOf(element), element);
  }
  return sorted(elements);
}

function manifestError(file: string, what: string): DevshellError {
  return new DevshellError("CLI_PROFILE", `Cannot read profile manifest "${file}": ${what}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
