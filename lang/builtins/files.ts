import { DevshellError, formatHash, hashBytes, type ByteString, type Hash } from "../../core/index.ts";
import type { ContextElement, FileType } from "../host.ts";
import {
  AttrSet,
  NO_POS,
  PathValue,
  addFrame,
  call2,
  canonicalPath,
  coerceToPath,
  coerceToString,
  evalError,
  force,
  forceAttrs,
  forceBool,
  forceFunction,
  forceList,
  forceString,
  forceStringNoContext,
  getAttr,
  isStringValue,
  makeString,
  orderContext,
  textOf,
  type Runtime,
  type SearchPathEntry,
  type Slot,
  type Value,
} from "../value/index.ts";
import { define1, define2, failure, type Definition } from "./define.ts";
import { importDerivation } from "./importDerivation.ts";
import { parseHashAlgorithm, parseHashAllowEmpty } from "./hashes.ts";
import { isInStore, isStorePath, storeObjectOf, storePathProblem } from "./storePaths.ts";

export function fileBuiltins(runtime: Runtime): readonly Definition[] {
  const { host } = runtime;
  return [
    define1(
      "import",
      "path",
      "The value of the expression in a file; each file is evaluated once.",
      (pos, path) => {
        const file = realisePath(runtime, path);
        if (isDerivationFile(runtime, file)) return importDerivation(runtime, file);
        return runtime.importFile(file, pos);
      },
      { isGlobal: true },
    ),
    define2(
      "scopedImport",
      "scope path",
      "Like `import`, with further variables in scope; never cached.",
      (pos, scope, path) => {
        const file = realisePath(runtime, path);
        if (isDerivationFile(runtime, file)) return importDerivation(runtime, file);
        const set = forceAttrs(
          scope,
          NO_POS,
          "while evaluating the first argument passed to builtins.scopedImport",
        );
        return runtime.scopedImportFile(set, file, pos);
      },
      { isGlobal: true },
    ),
    define1("readFile", "path", "The contents of a file.", (_, path) => {
      const file = realisePath(runtime, path);
      const text = host.readFile(file);
      if (text.includes("\0"))
        throw failure(`the contents of the file '${file}' cannot be represented as a Nix string`);
      return makeString(text, referencesIn(runtime, file, text));
    }),
    define1("readDir", "path", "The entries of a directory and their types.", (_, path) => {
      const entries = host.readDirectory(realisePath(runtime, path));
      return AttrSet.fromMap(entries);
    }),
    define1(
      "readFileType",
      "p",
      'The type of a file: "directory", "regular", "symlink" or "unknown".',
      (_, p) => {
        const file = realisePath(runtime, p);
        return fileTypeOf(runtime, file);
      },
    ),
    define1("pathExists", "path", "Whether a path exists.", (_, path) => {
      const value = force(path);
      const mustBeDirectory = isStringValue(value) && /\/\.?$/.test(textOf(value));
      try {
        const file = realisePath(runtime, value);
        const type = host.fileType(file);
        if (type === undefined || !mustBeDirectory) return type !== undefined;
        return host.fileType(host.resolveSymlinks(file)) === "directory";
      } catch (error) {
        if (error instanceof DevshellError && PATH_IS_HIDDEN.has(error.code)) return false;
        throw error;
      }
    }),
    define2("hashFile", "type p", "The hash of a file, in base 16.", (_, type, p) => {
      const algorithm = parseHashAlgorithm(
        forceStringNoContext(type, NO_POS, "while evaluating the first argument passed to builtins.hashFile"),
      );
      return formatHash(hashBytes(algorithm, host.readFile(realisePath(runtime, p))), "base16");
    }),
    define2(
      "findFile",
      "search-path lookup-path",
      "Looks a name up in a search path, as `<name>` does.",
      (_, searchPath, name) => findFile(runtime, searchPath, name),
    ),
    define1(
      "baseNameOf",
      "x",
      "What follows the last slash of a path or string.",
      (_, x) => {
        const context = new Set<ContextElement>();
        const text = coerceToString(
          runtime,
          x,
          context,
          NO_POS,
          "while evaluating the first argument passed to builtins.baseNameOf",
          { copyToStore: false },
        );
        return makeString(baseName(text), context);
      },
      { isGlobal: true },
    ),
    define1(
      "dirOf",
      "s",
      "What precedes the last slash of a path or string.",
      (_, s) => {
        const value = force(s);
        if (value instanceof PathValue) return new PathValue(parentOf(value.path));
        const context = new Set<ContextElement>();
        const text = coerceToString(
          runtime,
          value,
          context,
          NO_POS,
          "while evaluating the first argument passed to 'builtins.dirOf'",
          { copyToStore: false },
        );
        const slash = text.lastIndexOf("/");
        return makeString(slash < 0 ? "." : slash === 0 ? "/" : text.slice(0, slash), context);
      },
      { isGlobal: true },
    ),
    define1("toPath", "s", "An absolute path as a string. Deprecated.", (_, s) => {
      const context = new Set<ContextElement>();
      const path = coerceToPath(
        runtime,
        s,
        context,
        NO_POS,
        "while evaluating the first argument passed to builtins.toPath",
      );
      return makeString(path, context);
    }),
    define2("toFile", "name s", "Stores a string as a file in the store.", (_, name, s) => {
      const fileName = forceStringNoContext(
        name,
        NO_POS,
        "while evaluating the first argument passed to builtins.toFile",
      );
      const context = new Set<ContextElement>();
      const contents = forceString(
        s,
        NO_POS,
        "while evaluating the second argument passed to builtins.toFile",
        context,
      );
      for (const element of orderContext(context))
        if (!element.startsWith("/"))
          throw failure(
            `files created by builtins.toFile may not reference derivations, but ${fileName} references ${withoutStoreDir(element, host.storeDir)}`,
          );
      return storePathString(host.addText(fileName, contents, [...context].sort()));
    }),
    define1("storePath", "path", "A store path as a string that refers to it.", (_, path) => {
      if (runtime.settings.isPure)
        throw failure("'builtins.storePath' is not allowed in pure evaluation mode");
      const context = new Set<ContextElement>();
      let file = coerceToPath(
        runtime,
        path,
        context,
        NO_POS,
        "while evaluating the first argument passed to 'builtins.storePath'",
      );
      // What is not there is no link either.
      if (!isStorePath(host.storeDir, file) && host.fileType(file) !== undefined)
        file = host.resolveSymlinks(file);
      if (!isInStore(host.storeDir, file)) throw failure(`path '${file}' is not in the Nix store`);
      const object = storeObjectOf(host.storeDir, file);
      if (object === undefined) {
        const [base = ""] = file.slice(host.storeDir.length + 1).split("/");
        throw failure(storePathProblem(base) ?? `path '${file}' is not in the Nix store`);
      }
      host.ensurePath(object);
      context.add(object);
      return makeString(file, context);
    }),
    define2(
      "filterSource",
      "e1 e2",
      "Copies a tree to the store, without what a function refuses.",
      (_, e1, e2) => {
        const context = new Set<ContextElement>();
        const path = coerceToPath(
          runtime,
          e2,
          context,
          NO_POS,
          "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'",
        );
        const filter = forceFunction(
          e1,
          NO_POS,
          "while evaluating the first argument passed to builtins.filterSource",
        );
        return addPath(runtime, {
          path,
          name: sourceName(path),
          filter,
          method: "nar",
          sha256: undefined,
          context,
        });
      },
    ),
    define1("path", "args", "Copies a path to the store, with a name, a filter, a known hash.", (_, args) =>
      addNamedPath(runtime, args),
    ),
  ];
}

/** What a host says of a path that evaluation must not see. */
const PATH_IS_HIDDEN: ReadonlySet<string> = new Set(["LANG_RESTRICTED", "EVAL_RESTRICTED"]);

function baseName(path: ByteString): ByteString {
  if (path === "") return "";
  const end = path.endsWith("/") && path.length > 1 ? path.length - 1 : path.length;
  return path.slice(path.lastIndexOf("/", end - 1) + 1, end);
}

/** The name in the store of what lies at a path. */
function sourceName(path: ByteString): ByteString {
  return baseName(path) || "source";
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** `out!<drv>^` as messages name it. */
function withoutStoreDir(element: ContextElement, storeDir: string): string {
  return element.replace(`${storeDir}/`, "");
}

/** A path to look at now: what it refers to is built first. */
export function realisePath(runtime: Runtime, slot: Slot): ByteString {
  const value = force(slot);
  if (value instanceof PathValue) return value.path;
  const context = new Set<ContextElement>();
  const path = coerceToPath(runtime, value, context, NO_POS, "while realising the context of a path");
  if (context.size === 0) return path;
  try {
    return runtime.realiseContext(path, context);
  } catch (error) {
    throw addFrame(error, `while realising the context of path '${path}'`);
  }
}

function isDerivationFile({ host }: Runtime, path: ByteString): boolean {
  return path.endsWith(".drv") && isStorePath(host.storeDir, path) && host.fileType(path) === "regular";
}

/** The references of a store object that its file's text does contain. */
function referencesIn({ host }: Runtime, file: ByteString, text: ByteString): Set<ContextElement> | null {
  const object = storeObjectOf(host.storeDir, file);
  if (object === undefined) return null;
  const found = new Set<ContextElement>();
  const start = host.storeDir.length + 1;
  for (const reference of host.references(object))
    if (text.includes(reference.slice(start, start + 32))) found.add(reference);
  return found;
}

function fileTypeOf({ host }: Runtime, path: ByteString): FileType {
  const type = host.fileType(path);
  if (type === undefined) throw failure(`path '${path}' does not exist`);
  return type;
}

function findFile(runtime: Runtime, searchPath: Slot, name: Slot): Value {
  const entries: SearchPathEntry[] = [];
  for (const slot of forceList(
    searchPath,
    NO_POS,
    "while evaluating the first argument passed to builtins.findFile",
  )) {
    const entry = forceAttrs(
      slot,
      NO_POS,
      "while evaluating an element of the list passed to builtins.findFile",
    );
    const prefixSlot = entry.get("prefix");
    const prefix =
      prefixSlot === undefined
        ? ""
        : forceStringNoContext(
            prefixSlot,
            NO_POS,
            "while evaluating the `prefix` attribute of an element of the list passed to builtins.findFile",
          );
    const context = new Set<ContextElement>();
    const path = coerceToString(
      runtime,
      getAttr(entry, "path", "in an element of the __nixPath"),
      context,
      NO_POS,
      "while evaluating the `path` attribute of an element of the list passed to builtins.findFile",
      { copyToStore: false },
    );
    entries.push({ prefix, value: context.size === 0 ? path : runtime.realiseContext(path, context) });
  }
  const wanted = forceStringNoContext(
    name,
    NO_POS,
    "while evaluating the second argument passed to builtins.findFile",
  );
  return new PathValue(runtime.findFile(entries, wanted, NO_POS));
}

interface AddedPath {
  readonly path: ByteString;
  readonly name: ByteString;
  readonly filter: Value | undefined;
  readonly method: "nar" | "flat";
  readonly sha256: Hash | undefined;
  readonly context: ReadonlySet<ContextElement>;
}

function addPath(runtime: Runtime, { path, name, filter, method, sha256, context }: AddedPath): Value {
  const { host } = runtime;
  try {
    const isOfStore = context.size > 0 && isInStore(host.storeDir, path);
    const source = canonicalPath(isOfStore ? runtime.realiseContext(path, context) : path);
    const storePath = host.addPath({
      path: source,
      name,
      method,
      filter:
        filter === undefined
          ? undefined
          : (file, type) =>
              forceBool(
                call2(filter, file, type, NO_POS),
                NO_POS,
                "while evaluating the return value of the path filter function",
              ),
      expectedSha256: sha256,
      references: isOfStore ? host.references(source) : undefined,
    });
    return storePathString(storePath);
  } catch (error) {
    throw addFrame(error, `while adding path '${path}'`);
  }
}

function addNamedPath(runtime: Runtime, args: Slot): Value {
  const set = forceAttrs(args, NO_POS, "while evaluating the argument passed to 'builtins.path'");
  let path: ByteString | undefined;
  let name = "";
  let filter: Value | undefined;
  let method: "nar" | "flat" = "nar";
  let sha256: Hash | undefined;
  const context = new Set<ContextElement>();
  set.forEachSorted((attribute, slot, pos) => {
    switch (attribute) {
      case "path":
        path = coerceToPath(
          runtime,
          slot,
          context,
          pos,
          "while evaluating the 'path' attribute passed to 'builtins.path'",
        );
        break;
      case "name":
        name = forceStringNoContext(
          slot,
          pos,
          "while evaluating the `name` attribute passed to builtins.path",
        );
        break;
      case "filter":
        filter = forceFunction(slot, pos, "while evaluating the `filter` parameter passed to builtins.path");
        break;
      case "recursive":
        method = forceBool(slot, pos, "while evaluating the `recursive` attribute passed to builtins.path")
          ? "nar"
          : "flat";
        break;
      case "sha256":
        sha256 = parseHashAllowEmpty(
          forceStringNoContext(slot, pos, "while evaluating the `sha256` attribute passed to builtins.path"),
          "sha256",
          (text) => runtime.host.warn(text),
        );
        break;
      default:
        throw evalError("eval", `unsupported argument '${attribute}' to 'builtins.path'`, pos);
    }
  });
  if (path === undefined)
    throw failure("missing required 'path' attribute in the first argument to 'builtins.path'");
  return addPath(runtime, {
    path,
    name: name === "" ? sourceName(path) : name,
    filter,
    method,
    sha256,
    context,
  });
}

/** A store path as a string that refers to it. */
export function storePathString(storePath: ByteString): Value {
  return makeString(storePath, new Set([storePath]));
}
