import { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import { flakeReference, parseFlakeReference, type FlakeReference } from "../../lang/index.ts";

/** `nixpkgs/nixos-unstable#hello.meta^out,dev`, taken apart. */
export interface FlakeInstallable {
  readonly reference: FlakeReference;
  /** What follows `#`: an attribute path, "" for the default. */
  readonly fragment: ByteString;
  /** What follows `^`; `undefined` where nothing does. */
  readonly outputs: "*" | readonly string[] | undefined;
}

export interface ParseFlakeOptions {
  /** What relative paths are relative to. */
  readonly directory: string;
  /** A path need not hold a `flake.nix` yet. */
  readonly isMissingAllowed?: boolean | undefined;
  /** False for a plain tree: no flake is looked for above it. */
  readonly isFlake?: boolean | undefined;
  /** Told what is noteworthy, as whole lines. */
  readonly notice?: ((line: string) => void) | undefined;
}

/**
 * Reads what a command line says of a flake and of what is wanted from it.
 * @throws {DevshellError} `FLAKE_REFERENCE`, EvalError
 */
export function parseInstallable(text: string, options: ParseFlakeOptions): FlakeInstallable {
  const caret = text.lastIndexOf("^");
  const spec = caret < 0 ? undefined : text.slice(caret + 1);
  if (spec !== undefined && spec !== "*" && !/^[a-zA-Z0-9+._?=-]+(?:,[a-zA-Z0-9+._?=-]+)*$/.test(spec))
    throw new DevshellError("FLAKE_REFERENCE", `invalid extended outputs specifier '${text}'`);
  const outputs = spec === undefined ? undefined : spec === "*" ? spec : spec.split(",");
  return { ...parseFlake(caret < 0 ? text : text.slice(0, caret), options), outputs };
}

/** Reads a reference of the command line that names a flake and nothing in it. */
export function parseReference(text: string, options: ParseFlakeOptions): FlakeReference {
  const { reference, fragment } = parseFlake(text, options);
  if (fragment !== "")
    throw new DevshellError(
      "FLAKE_REFERENCE",
      `unexpected fragment '${textOfBytes(fragment)}' in flake reference '${text}'`,
    );
  return reference;
}

/** `nixpkgs`, `nixpkgs/branch`, `nixpkgs/branch/revision`. */
const ID = /^[a-zA-Z][a-zA-Z0-9_-]*(?:\/[a-zA-Z0-9@][a-zA-Z0-9_./@+-]*)?$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:/;

function parseFlake(
  text: string,
  options: ParseFlakeOptions,
): { readonly reference: FlakeReference; readonly fragment: ByteString } {
  const hash = text.indexOf("#");
  const location = hash < 0 ? text : text.slice(0, hash);
  const fragment = hash < 0 ? "" : decode(bytesOfText(text.slice(hash + 1)));
  const isFlake = options.isFlake ?? true;
  if (ID.test(location)) return { reference: parseIdentifier(location), fragment };
  if (SCHEME.test(location)) {
    const attributes = parseFlakeReference(bytesOfText(location), {
      isRelativeAllowed: true,
      isFlake,
      warn: (message) => options.notice?.(`warning: ${message}`),
    });
    return { reference: absolute(flakeReference(attributes), options.directory), fragment };
  }
  return { reference: parsePath(location, options, isFlake), fragment };
}

function parseIdentifier(location: string): FlakeReference {
  const [, , revision, ...others] = location.split("/");
  if (revision !== undefined && (others.length > 0 || !/^[0-9a-fA-F]{40}$/.test(revision)))
    throw new DevshellError(
      "FLAKE_REFERENCE",
      `in flake URL 'flake:${location}', '${[revision, ...others].join("/")}' is not a commit hash`,
      { hint: "put './' in front of a path" },
    );
  return flakeReference(parseFlakeReference(bytesOfText(location)));
}

/** Makes the paths of `path:` and `git+file:` absolute. */
function absolute(reference: FlakeReference, directory: string): FlakeReference {
  const { attributes, dir } = reference;
  const path = attributes.get("path");
  const url = attributes.get("url");
  if (attributes.get("type") === "path" && typeof path === "string" && !path.startsWith("/"))
    return {
      dir,
      attributes: new Map(attributes).set("path", bytesOfText(resolve(directory, textOfBytes(path)))),
    };
  const relative = typeof url === "string" ? /^file:(?!\/)([^?]*)(.*)$/s.exec(url) : null;
  if (attributes.get("type") !== "git" || relative === null) return reference;
  const place = bytesOfText(resolve(directory, textOfBytes(decode(relative[1] ?? ""))));
  return {
    dir,
    attributes: new Map(attributes).set("url", `file://${encodePath(place)}${relative[2] ?? ""}`),
  };
}

/** A path names the flake around it, in its Git repository where it lies in one. */
function parsePath(location: string, options: ParseFlakeOptions, isFlake: boolean): FlakeReference {
  const mark = location.indexOf("?");
  const given = mark < 0 ? location : location.slice(0, mark);
  const query = mark < 0 ? "" : location.slice(mark + 1);
  const path = realPath(resolve(options.directory, given));
  const suffix = query === "" ? "" : `?${query}`;
  const read = (url: string): FlakeReference =>
    flakeReference(
      parseFlakeReference(bytesOfText(url), {
        isRelativeAllowed: true,
        isFlake,
        warn: (message) => options.notice?.(`warning: ${message}`),
      }),
    );
  if (!isFlake) return read(`path:${encodePath(bytesOfText(path))}${suffix}`);
  const root = findFlake(path, options);
  let dir = "";
  for (let at = root; dirname(at) !== at; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return inRepository(at, dir, query, location, read);
    dir = dir === "" ? basename(at) : `${basename(at)}/${dir}`;
  }
  return read(`path:${encodePath(bytesOfText(root))}${suffix}`);
}

function inRepository(
  repository: string,
  dir: string,
  query: string,
  location: string,
  read: (url: string) => FlakeReference,
): FlakeReference {
  const parameters = query === "" ? [] : query.split("&");
  if (dir !== "") {
    if (parameters.some((parameter) => parameter.startsWith("dir=")))
      throw new DevshellError(
        "FLAKE_REFERENCE",
        `flake URL '${location}' has an inconsistent 'dir' parameter`,
      );
    parameters.push(`dir=${encodePath(bytesOfText(dir))}`);
  }
  if (existsSync(join(repository, ".git", "shallow"))) parameters.push("shallow=1");
  const suffix = parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  return read(`git+file://${encodePath(bytesOfText(repository))}${suffix}`);
}

/** Links are followed: a flake lies where its files are. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // said to be missing where it is used
  }
}

/** The directory of the flake that a path lies in. */
function findFlake(given: string, options: ParseFlakeOptions): string {
  const fail = (message: string): never => {
    throw new DevshellError("FLAKE_REFERENCE", message);
  };
  const stat = statSync(given, { throwIfNoEntry: false });
  if (stat === undefined) return fail(`path "${given}" does not exist`);
  let path = given;
  if (!stat.isDirectory()) {
    if (basename(path) !== "flake.nix") fail(`path "${path}" is not a flake (because it's not a directory)`);
    options.notice?.(
      `warning: Path "${path}" should point at the directory containing the 'flake.nix' file, not the file itself. Pretending that you meant "${dirname(path)}"`,
    );
    path = dirname(path);
  }
  if (options.isMissingAllowed === true || existsSync(join(path, "flake.nix"))) return path;
  options.notice?.(`path "${path}" does not contain a 'flake.nix', searching up`);
  const start = path;
  const { dev } = lstatSync(path);
  for (; dirname(path) !== path; path = dirname(path)) {
    if (existsSync(join(path, "flake.nix"))) return path;
    if (existsSync(join(path, ".git")))
      fail(
        `path "${start}" is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)`,
      );
    if (lstatSync(path).dev !== dev)
      fail(`unable to find a flake before encountering filesystem boundary at "${path}"`);
  }
  return fail("could not find a flake.nix file");
}

function decode(text: ByteString): ByteString {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function encodePath(path: ByteString): string {
  return path.replace(
    /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
