import { accessSync, constants, existsSync, lstatSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DevshellError, bytesOfText, importModule } from "../../core/index.ts";
import type { InputTracker } from "../inputTracker.ts";
import type { DataSpec, DevSpec, EnvironmentRequest } from "../types.ts";
import type { DataSpecSyntax } from "./parseDataSpec.ts";
import { isRecord } from "./validateSchema.ts";

/** Data specs, best first; then Nix files, in a directory without one. */
export const DATA_PLACES = [
  "devshell.yaml",
  "devshell.yml",
  "devshell.json",
  "devshell.toml",
  "devshell.ts",
  ".devshellrc",
  ".devshellrc.yaml",
  ".devshellrc.yml",
  ".devshellrc.json",
  ".devshellrc.toml",
  ".devshellrc.ts",
  "package.json",
];
export const NIX_PLACES = ["shell.nix", "flake.nix", "default.nix"];

/**
 * Finds what an environment is made from: what the request names, else the nearest spec from its directory upward.
 * All that was looked for is recorded, absent files too: a spec that appears nearer makes a cached record stale.
 * @throws {DevshellError} `SPEC_NOT_FOUND`, `SPEC_CONFLICT`, `SPEC_SYNTAX`, `SPEC_INVALID`
 */
export async function discoverSpec(request: EnvironmentRequest, tracker: InputTracker): Promise<DevSpec> {
  const root = request.directory;
  const files = request.files ?? [];
  const named = [
    files.length > 0 && "a file",
    request.expression !== undefined && "-E",
    request.packages !== undefined && "-p",
  ].filter((name) => name !== false);
  if (named.length > 1)
    throw new DevshellError("SPEC_CONFLICT", `Cannot use ${named.join(" and ")} together`, {
      hint: "name one source for the environment",
    });
  if (request.expression !== undefined) return { kind: "expression", text: request.expression, root };
  if (request.packages !== undefined)
    return {
      kind: "packages",
      names: request.packages,
      collection: request.collection ?? "debian",
      root,
    };
  if (files.length > 1)
    throw new DevshellError(
      "SPEC_CONFLICT",
      `Cannot enter ${files.length} specs at once: ${files.join(", ")}`,
      {
        hint: "name one; several attributes of it may be named with -A",
      },
    );
  const [file] = files;
  if (file !== undefined) return await namedSpec(file, root, tracker);
  return await searchSpec(root, tracker);
}

async function namedSpec(file: string, directory: string, tracker: InputTracker): Promise<DevSpec> {
  if (/^<[^<>]+>$/.test(file)) return { kind: "searchPath", entry: file.slice(1, -1), root: directory };
  const path = isAbsolute(file) ? resolve(file) : resolve(directory, file);
  if (!isThere(path)) {
    if (isFlakeWord(file)) return { kind: "flake", path: undefined, root: directory, installable: file };
    tracker.type(bytesOfText(path), undefined);
    throw new DevshellError("SPEC_NOT_FOUND", `Cannot find "${file}": ${path} does not exist`, {
      hint: "name a spec, its directory, or an entry of the search path: '<debian>'",
    });
  }
  if (isDirectory(path)) {
    const spec = await specIn(path, tracker);
    if (spec !== undefined) return spec;
    throw new DevshellError("SPEC_NOT_FOUND", `Cannot find a spec in "${path}"`, { hint: placesHint() });
  }
  refuseUnreadable(path, tracker);
  if (path.endsWith(".drv")) return { kind: "derivation", drvPath: path, root: directory };
  const isData = syntaxOf(path) !== undefined && !path.endsWith(".nix");
  if (isData) return await dataSpec(path, tracker);
  if (basename(path) === "flake.nix") {
    tracker.file(bytesOfText(path));
    return { kind: "flake", path, root: dirname(path), installable: "." };
  }
  return { kind: "file", path, root: dirname(path), isFound: false };
}

/** `.#name`, `github:owner/repository`: no file, but what is found in a flake. */
function isFlakeWord(word: string): boolean {
  return word.includes("#") || /^[a-z][a-z0-9+.-]*:/.test(word);
}

async function searchSpec(start: string, tracker: InputTracker): Promise<DevSpec> {
  for (const directory of searchDirectories(start)) {
    const spec = await specIn(directory, tracker);
    if (spec !== undefined) return spec;
  }
  throw new DevshellError("SPEC_NOT_FOUND", `Cannot find a spec in "${start}"`, { hint: placesHint() });
}

function placesHint(): string {
  return "write a devshell.yaml or a shell.nix, begin with `devshell init`, or name packages with -p";
}

/**
 * From the directory upward to the repository's root. Outside a repository: upward while directories belong to the
 * same user, are not writable by others and are not the home directory, since anyone can put a file in /tmp.
 */
function searchDirectories(start: string): string[] {
  const above: string[] = [];
  for (let at = start; ; at = dirname(at)) {
    above.push(at);
    if (existsSync(join(at, ".git")) || existsSync(join(at, ".hg")) || existsSync(join(at, ".jj")))
      return above;
    if (at === dirname(at)) break;
  }
  const owner = lstatSync(start, { throwIfNoEntry: false })?.uid;
  const home = homedir();
  const end = above.findIndex((directory, n) => {
    if (n === 0) return false;
    const stat = lstatSync(directory, { throwIfNoEntry: false });
    return (
      stat === undefined ||
      stat.uid !== owner ||
      (stat.mode & 0o002) !== 0 ||
      directory === home ||
      directory === dirname(directory)
    );
  });
  return end < 0 ? above : above.slice(0, end);
}

async function specIn(directory: string, tracker: InputTracker): Promise<DevSpec | undefined> {
  const found = await findDataSpec(directory, tracker);
  if (found !== undefined) return found;
  for (const name of NIX_PLACES) {
    const path = join(directory, name);
    if (!isThere(path)) {
      tracker.type(bytesOfText(path), undefined);
      continue;
    }
    refuseUnreadable(path, tracker);
    if (name === "flake.nix") {
      tracker.file(bytesOfText(path));
      return { kind: "flake", path, root: directory, installable: "." };
    }
    return { kind: "file", path, root: directory, isFound: true };
  }
  return undefined;
}

/** A link that leads nowhere is there, and to be told of. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** @throws {DevshellError} `SPEC_UNREADABLE` for what is no file that can be read: reading a pipe would never end */
function refuseUnreadable(path: string, tracker: InputTracker): void {
  let why: string | undefined;
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) why = "it is a directory";
    else if (!stat.isFile()) why = "it is no regular file";
    else accessSync(path, constants.R_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ELOOP") why = "its symbolic links lead round in a circle";
    else if (code === "ENOENT") why = "it is a symbolic link to what does not exist";
    else if (code === "EACCES") why = "permission denied";
    else why = message;
  }
  if (why === undefined) return;
  tracker.type(bytesOfText(path), "unknown");
  throw new DevshellError("SPEC_UNREADABLE", `Cannot read spec "${path}": ${why}`, {
    hint: "make it a file that you can read, or name another spec with -f",
  });
}

interface LoadedSpec {
  readonly text: string;
}

async function findDataSpec(directory: string, tracker: InputTracker): Promise<DevSpec | undefined> {
  let hasCandidate = false;
  for (const name of DATA_PLACES) {
    const path = join(directory, name);
    if (!isThere(path)) {
      tracker.type(bytesOfText(path), undefined);
      continue;
    }
    refuseUnreadable(path, tracker);
    hasCandidate = true;
    tracker.file(bytesOfText(path));
    // what follows cannot decide any more, but package.json counts only where it has the field
    if (name !== "package.json") break;
  }
  // most Nix projects have none: the parsers are loaded only for those that do
  if (!hasCandidate) return undefined;
  // the default is all of a CommonJS package, from source and from the bundle alike
  const { cosmiconfig } = (await import("cosmiconfig")).default;
  // texts go through unread: parseDataSpec reads them with places
  const loader = (_path: string, text: string): LoadedSpec => ({ text });
  const packageLoader = (path: string, text: string): { devshell?: LoadedSpec } => {
    const value = parsePackageJson(path, text);
    return isRecord(value) && value["devshell"] !== undefined ? { devshell: { text } } : {};
  };
  const explorer = cosmiconfig("devshell", {
    searchPlaces: DATA_PLACES,
    packageProp: "devshell",
    searchStrategy: "none",
    cache: false,
    ignoreEmptySearchPlaces: false,
    mergeSearchPlaces: false,
    loaders: {
      ".json": (path, text) =>
        basename(path) === "package.json" ? packageLoader(path, text) : loader(path, text),
      ".yaml": loader,
      ".yml": loader,
      ".toml": loader,
      ".ts": loader,
      noExt: loader,
    },
  });
  const found = await explorer.search(directory);
  return found === null ? undefined : await dataSpec(found.filepath, tracker);
}

function parsePackageJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DevshellError("SPEC_SYNTAX", `Cannot read "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function dataSpec(path: string, tracker: InputTracker): Promise<DevSpec> {
  const text = tracker.readFile(bytesOfText(path)).toString("utf8");
  const syntax = syntaxOf(path) ?? "yaml";
  let data: unknown;
  if (syntax === "object") data = await loadModule(path);
  const within = basename(path) === "package.json" ? ["devshell"] : [];
  const { parseDataSpec } = await import("./parseDataSpec.ts");
  const parsed: DataSpec = parseDataSpec(path, text, syntax, within, data);
  return { kind: "data", path, root: dirname(path), data: parsed };
}

function syntaxOf(path: string): DataSpecSyntax | undefined {
  switch (extname(path)) {
    case ".yaml":
    case ".yml":
      return "yaml";
    case ".json":
      return "json";
    case ".toml":
      return "toml";
    case ".ts":
      return "object";
    default:
      return basename(path) === ".devshellrc" ? "yaml" : undefined;
  }
}

/** Runs `devshell.ts`; the query makes a changed file a new module. */
async function loadModule(path: string): Promise<unknown> {
  const url = pathToFileURL(path);
  url.search = `?${statSync(path, { bigint: true }).mtimeNs}`;
  try {
    const loaded = (await importModule(url)) as { default?: unknown };
    return loaded.default;
  } catch (error) {
    throw new DevshellError("SPEC_SYNTAX", `Cannot run spec "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}
