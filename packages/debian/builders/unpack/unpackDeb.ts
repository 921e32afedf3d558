import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { posix } from "node:path";
import { fsPath } from "../../../../core/index.ts";
import { archiveError, show } from "../archive/archiveError.ts";
import { decompressMember } from "../archive/decompressMember.ts";
import { readAr, type ArMember } from "../archive/readAr.ts";
import { TarReader, type TarEntry, type TarHandler, type TarLimits } from "../archive/tarReader.ts";
import { mergeUsr, pathOfEntry, relocateLink } from "../archive/treePath.ts";
import type { DebianArchitecture } from "../architecture.ts";
import { patchElf } from "../elf/patchElf.ts";
import { isLoaderPath, patchLoader } from "../elf/patchLoader.ts";
import { HIDDEN_DIRECTORY, formatManifest, type ManifestEntry } from "../manifest.ts";
import { SHIM_LIBRARY, isShimmedProgram } from "../shim/shimmedPrograms.ts";

export interface UnpackRequest {
  readonly deb: string;
  /** The directory to make. */
  readonly out: string;
  /** libc6's loader in the store. */
  readonly loader: string;
  readonly architecture: DebianArchitecture;
}

export interface UnpackReport {
  readonly files: number;
  readonly patchedElfs: number;
  /** Where it could not do what it should, for the build's log. */
  readonly warnings: readonly string[];
}

/** Of the control archive, what the environment's builder reads; it is data there, never run. */
const CONTROL_FILES = new Set([
  "control",
  "preinst",
  "postinst",
  "triggers",
  "conffiles",
  "shlibs",
  "symbols",
]);
const MAX_CONTROL_FILE_BYTES = 4 << 20;
const CONTROL_LIMITS: TarLimits = { maxEntries: 1000, maxBytes: 64 << 20 };
const ELF_MAGIC = 0x7f454c46;
const HEAD_BYTES = 512;

/** What a package may unpack to: xz reaches 1:7000 on zeros, real packages stay below 1:60. */
function dataLimits(packedBytes: number): TarLimits {
  return { maxEntries: 1_000_000, maxBytes: (64 << 20) + packedBytes * 200 };
}

/**
 * Unpacks a .deb into a tree that runs where it lies: /usr merged, links relative, ELF files patched, nothing
 * setuid, no owners. Streams; memory does not grow with the package.
 */
export async function unpackDeb(request: UnpackRequest): Promise<UnpackReport> {
  const file = fsPath(request.deb);
  const fd = openSync(file, "r");
  let members: ArMember[];
  let packedBytes: number;
  try {
    packedBytes = fstatSync(fd).size;
    members = readAr(fd, packedBytes);
  } finally {
    closeSync(fd);
  }
  const tree = new TreeWriter(request);
  const hidden = `${request.out}/${HIDDEN_DIRECTORY}`;
  mkdirSync(fsPath(hidden), { recursive: true });
  await readTar(file, findMember(members, "control.tar"), new ControlWriter(hidden), CONTROL_LIMITS);
  await readTar(file, findMember(members, "data.tar"), tree, dataLimits(packedBytes));
  const report = tree.finish();
  writeFileSync(fsPath(`${hidden}/manifest`), tree.manifest(), "latin1");
  return report;
}

async function readTar(
  file: string | Buffer,
  member: ArMember,
  handler: TarHandler & Disposable,
  limits: TarLimits,
): Promise<void> {
  using writer = handler;
  const reader = new TarReader(writer, limits);
  for await (const chunk of decompressMember(file, member)) reader.push(chunk);
  reader.finish();
}

function findMember(members: readonly ArMember[], start: string): ArMember {
  const found = members.find(({ name }) => name === start || name.startsWith(`${start}.`));
  if (found === undefined) throw archiveError(`the package has no ${start}`);
  return found;
}

class ControlWriter implements TarHandler, Disposable {
  readonly #directory: string;
  #name: string | undefined;
  #chunks: Buffer[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  entry(entry: TarEntry): void {
    const name = pathOfEntry(entry.name).slice(1);
    this.#name = entry.kind === "file" && CONTROL_FILES.has(name) ? name : undefined;
    this.#chunks = [];
    if (this.#name !== undefined && entry.sizeBytes > MAX_CONTROL_FILE_BYTES)
      throw archiveError(`its ${name} file has ${entry.sizeBytes} bytes`);
  }

  data(chunk: Buffer): void {
    if (this.#name !== undefined) this.#chunks.push(Buffer.from(chunk));
  }

  end(): void {
    if (this.#name !== undefined)
      writeFileSync(`${this.#directory}/${this.#name}`, Buffer.concat(this.#chunks));
  }

  [Symbol.dispose](): void {
    this.#chunks = [];
  }
}

interface OpenFile {
  readonly fd: number;
  readonly path: string;
  readonly mode: number;
  readonly head: Buffer;
  headBytes: number;
  sizeBytes: number;
}

/** Writes the data archive's entries into the tree. Links are made last, so that nothing is written through one. */
class TreeWriter implements TarHandler, Disposable {
  readonly #out: string;
  readonly #request: UnpackRequest;
  readonly #entries = new Map<string, ManifestEntry>();
  readonly #links: { readonly path: string; readonly target: string }[] = [];
  readonly #warnings: string[] = [];
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #open: OpenFile | undefined;
  #files = 0;
  #patchedElfs = 0;

  constructor(request: UnpackRequest) {
    this.#request = request;
    this.#out = request.out;
  }

  entry(entry: TarEntry): void {
    const place = pathOfEntry(entry.name);
    const path = mergeUsr(place);
    switch (entry.kind) {
      case "directory":
        this.#directory(path);
        return;
      case "file":
        this.#create(path, entry.mode);
        return;
      case "symlink": {
        const target = relocateLink(place, entry.linkName);
        if (target !== undefined) this.#link(path, target);
        return;
      }
      case "hardLink":
        this.#hardLink(path, mergeUsr(pathOfEntry(entry.linkName)));
        return;
      case "device":
      case "fifo":
        throw archiveError(`${show(path)} is a ${entry.kind}`);
    }
  }

  data(chunk: Buffer): void {
    const open = this.#open;
    if (open === undefined) throw new Error("No file is open");
    if (open.headBytes < HEAD_BYTES) open.headBytes += chunk.copy(open.head, open.headBytes);
    for (let done = 0; done < chunk.length;) done += writeSync(open.fd, chunk, done);
    open.sizeBytes += chunk.length;
  }

  end(): void {
    const open = this.#open;
    if (open === undefined) throw new Error("No file is open");
    const head = open.head.subarray(0, open.headBytes);
    if (head.length >= 64 && head.readUInt32BE(0) === ELF_MAGIC) this.#patch(open);
    const isExecutable = (open.mode & 0o111) !== 0;
    fchmodSync(open.fd, isExecutable ? 0o555 : 0o444);
    this.#open = undefined;
    closeSync(open.fd);
    this.#entries.set(open.path, {
      kind: "file",
      path: open.path,
      isExecutable,
      wasSetId: (open.mode & 0o6000) !== 0,
      isScript: head[0] === 0x23 && head[1] === 0x21,
      isText: !head.includes(0),
      sizeBytes: open.sizeBytes,
    });
  }

  /** Makes the links and tells what was done. */
  finish(): UnpackReport {
    for (const { path, target } of this.#links) symlinkSync(fsPath(target), this.#disk(path));
    return { files: this.#files, patchedElfs: this.#patchedElfs, warnings: this.#warnings };
  }

  manifest(): string {
    const entries = [...this.#entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    return formatManifest(entries);
  }

  [Symbol.dispose](): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #disk(path: string): string | Buffer {
    return fsPath(this.#out + path);
  }

  #directory(path: string): void {
    if (path === "/") return;
    const known = this.#entries.get(path);
    if (known?.kind === "directory") return;
    if (known !== undefined) throw archiveError(`${show(path)} is there twice`);
    if (path.startsWith(`/${HIDDEN_DIRECTORY}`)) throw archiveError(`${show(path)} is not Debian's to use`);
    this.#directory(posix.dirname(path));
    mkdirSync(this.#disk(path), 0o755);
    this.#entries.set(path, { kind: "directory", path });
  }

  #claim(path: string): void {
    if (path === "/" || this.#entries.has(path)) throw archiveError(`${show(path)} is there twice`);
    this.#directory(posix.dirname(path));
  }

  #create(path: string, mode: number): void {
    this.#claim(path);
    const { O_CREAT, O_EXCL, O_RDWR, O_NOFOLLOW } = constants;
    const fd = openSync(this.#disk(path), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600);
    this.#files++;
    this.#open = { fd, path, mode, head: this.#head, headBytes: 0, sizeBytes: 0 };
  }

  #link(path: string, target: string): void {
    this.#claim(path);
    this.#entries.set(path, { kind: "link", path, target });
    this.#links.push({ path, target });
  }

  #hardLink(path: string, source: string): void {
    const known = this.#entries.get(source);
    if (known === undefined || known.kind === "directory")
      throw archiveError(`${show(path)} is a hard link to ${show(source)}, which is no file before it`);
    if (known.kind === "link") {
      this.#link(path, posix.relative(posix.dirname(path), source));
      return;
    }
    this.#claim(path);
    linkSync(this.#disk(source), this.#disk(path));
    this.#entries.set(path, { ...known, path });
  }

  #patch(open: OpenFile): void {
    if (open.path.startsWith("/usr/lib/debug/")) return;
    const { architecture, loader } = this.#request;
    if (isLoaderPath(open.path)) {
      if (patchLoader(open.fd, architecture.triplet) === 0)
        this.#warnings.push(`${open.path}: no paths found in the loader`);
      return;
    }
    const preload = isShimmedProgram(open.path) ? SHIM_LIBRARY : undefined;
    const result = patchElf(open.fd, open.path, { architecture, loader, preload });
    if (result.kind === "patched") this.#patchedElfs++;
    if (result.kind === "unpatchable") this.#warnings.push(`${open.path}: left as it is: ${result.why}`);
  }
}
