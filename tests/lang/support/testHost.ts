import { lstatSync, readFileSync, readdirSync, realpathSync, type Stats } from "node:fs";
import { join } from "node:path";
import { DevshellError, fsPath, hashBytes, type ByteString, type Hash } from "../../../core/index.ts";
import type {
  AddPathRequest,
  EvalHost,
  FetchResult,
  FileType,
  InstantiateRequest,
  InstantiatedDerivation,
} from "../../../lang/index.ts";
import {
  DerivationHasher,
  hashNar,
  makeDerivation,
  makeFixedOutputPath,
  makeTextPath,
  parseStorePath,
  type StorePath,
} from "../../../store/index.ts";

/** A host over the real file system, read only: store paths are computed, never written. */
export class TestHost implements EvalHost {
  readonly storeDir = "/nix/store";
  readonly currentSystem = "x86_64-linux";
  readonly currentTime = 1_700_000_000;
  readonly messages: string[] = [];
  readonly variables = new Map<string, string>();
  /** Files that exist in memory only, by path. */
  readonly files = new Map<string, string>();
  readonly #hasher = new DerivationHasher(this.storeDir, (path) => {
    throw new Error(`unknown derivation: ${path}`);
  });
  readonly #derivations = new Map<string, readonly StorePath[]>();

  readFile(path: ByteString): ByteString {
    const known = this.files.get(path);
    if (known !== undefined) return known;
    try {
      return readFileSync(fsPath(path)).toString("latin1");
    } catch {
      throw new DevshellError("TEST_FILE", `path '${path}' does not exist`);
    }
  }

  fileType(path: ByteString): FileType | undefined {
    if (this.files.has(path)) return "regular";
    const stat = lstatSync(fsPath(path), { throwIfNoEntry: false });
    return stat === undefined ? undefined : typeOf(stat);
  }

  readDirectory(path: ByteString): ReadonlyMap<ByteString, FileType> {
    const type = this.fileType(path);
    if (type === undefined) throw new DevshellError("TEST_FILE", `path '${path}' does not exist`);
    const real = this.resolveSymlinks(path);
    if (this.fileType(real) !== "directory")
      throw new DevshellError("TEST_FILE", `'${real}' is not a directory`);
    const names = readdirSync(fsPath(path), { encoding: "latin1" }).sort();
    return new Map(names.map((name) => [name, typeOf(lstatSync(fsPath(join(path, name))))]));
  }

  resolveSymlinks(path: ByteString): ByteString {
    return realpathSync(fsPath(path), "buffer").toString("latin1");
  }

  environmentVariable(name: ByteString): ByteString | undefined {
    return this.variables.get(name);
  }

  resolveSearchPathEntry(entry: ByteString): ByteString | undefined {
    return lstatSync(fsPath(entry), { throwIfNoEntry: false }) === undefined ? undefined : entry;
  }

  addPath({ path, name, method, filter, expectedSha256 }: AddPathRequest): ByteString {
    if (this.fileType(path) === undefined)
      throw new DevshellError("TEST_FILE", `path '${path}' does not exist`);
    let hash: Hash;
    if (method === "flat") hash = hashBytes("sha256", this.readFile(path));
    else hash = hashNar(path, { filter }).hash;
    if (expectedSha256 !== undefined && !hash.digest.equals(expectedSha256.digest))
      throw new DevshellError(
        "TEST_HASH",
        `store path mismatch in (possibly filtered) path added from '${path}'`,
      );
    return makeFixedOutputPath(this.storeDir, name, { method, hash });
  }

  addText(name: ByteString, contents: ByteString, references: readonly ByteString[]): ByteString {
    return makeTextPath(
      this.storeDir,
      name,
      hashBytes("sha256", contents),
      references.map((path) => parseStorePath(this.storeDir, path)),
    );
  }

  ensurePath(): void {}

  instantiate(request: InstantiateRequest): InstantiatedDerivation {
    const made = makeDerivation(request, this.#hasher, (path) => this.#closureOf(path));
    this.#derivations.set(made.drvPath, made.references);
    return { drvPath: made.drvPath, outputs: made.outputs };
  }

  #closureOf(path: StorePath, closure = new Set<StorePath>()): Set<StorePath> {
    if (closure.has(path)) return closure;
    closure.add(path);
    for (const reference of this.#derivations.get(path) ?? []) this.#closureOf(reference, closure);
    return closure;
  }

  derivationClosure(drvPath: ByteString): ByteString[] {
    return [...this.#closureOf(parseStorePath(this.storeDir, drvPath))];
  }

  outputPath(drvPath: ByteString, output: ByteString): ByteString | undefined {
    const known = this.#hasher.derivation(parseStorePath(this.storeDir, drvPath)).outputs.get(output);
    return known !== undefined && "path" in known ? known.path : undefined;
  }

  references(): readonly ByteString[] {
    return [];
  }

  realise(): ReadonlyMap<ByteString, ByteString> {
    return new Map();
  }

  fetch(): FetchResult {
    throw new DevshellError("TEST_FETCH", "fetching is not part of this test");
  }

  trace(message: ByteString): void {
    this.messages.push(`trace: ${message}`);
  }

  note(message: ByteString): void {
    this.messages.push(message);
  }

  warn(message: ByteString, isFromProgram = false): void {
    const prefix = isFromProgram ? "evaluation warning" : "warning";
    this.messages.push(message.trim() === "" ? "" : `${prefix}: ${message}`);
  }
}

function typeOf(stat: Stats): FileType {
  if (stat.isFile()) return "regular";
  if (stat.isDirectory()) return "directory";
  return stat.isSymbolicLink() ? "symlink" : "unknown";
}
