import { DevshellError, type ByteString } from "../../core/index.ts";
import { NAR_MAX_DEPTH, NAR_MAX_NAME_BYTES, NAR_MAX_TARGET_BYTES, NAR_TOKENS } from "./nar.ts";

/** What most nodes begin with, as bytes. */
const OPEN_CONTENTS = Buffer.concat([NAR_TOKENS.openRegular, NAR_TOKENS.contents]);
const OPEN_EXECUTABLE = Buffer.concat([NAR_TOKENS.openRegular, NAR_TOKENS.executable, NAR_TOKENS.contents]);
const OPEN_ENTRY = NAR_TOKENS.openEntry;
const NODE = NAR_TOKENS.node;
const CLOSE = NAR_TOKENS.close;

/** The same in words, as far as it lies around a file's name, its size and its content. */
const OPEN_ENTRY_WORDS = words(OPEN_ENTRY);
const OPEN_FILE_WORDS = words(Buffer.concat([NODE, OPEN_CONTENTS]));
const OPEN_PROGRAM_WORDS = words(Buffer.concat([NODE, OPEN_EXECUTABLE]));
const FILE_END_WORDS = words(Buffer.concat([CLOSE, CLOSE]));

/** Longest keyword is 13 bytes; the slack keeps messages about garbage useful. */
const MAX_TAG_BYTES = 32;

/** For less than this the words are not worth an array of their own. */
const WORTH_WORDS_BYTES = 256;

/** Of a new chunk so much is looked at together with what the last one left: more than any unit of the format takes. */
const JOINED_BYTES = 16 << 10;

function words(bytes: Buffer): Int32Array {
  const copy = new Uint8Array(bytes);
  return new Int32Array(copy.buffer);
}

/** Told what a NAR holds, in its order. Paths are relative to the root, which is "". */
export interface NarHandler {
  directory(path: ByteString): void;
  directoryEnd(path: ByteString): void;
  symlink(path: ByteString, target: ByteString): void;
  /** @param offset where the content starts in the NAR, in bytes */
  file(path: ByteString, sizeBytes: number, isExecutable: boolean, offset: number): void;
  /** A piece of the current file's content, from `start` to `end` of bytes that are only valid during the call. */
  data(bytes: Buffer, start: number, end: number): void;
  fileEnd(): void;
}

const STATE = {
  start: 0,
  nodeBody: 1,
  content: 2,
  contentPadding: 3,
  entryOrClose: 4,
  entryEnd: 5,
  done: 6,
} as const;
type State = (typeof STATE)[keyof typeof STATE];

/** Thrown inside the parser to wait for more bytes; never leaves it. */
const NEED_MORE = Symbol("need more");

/**
 * Reads a NAR from chunks of any size, checking everything: tags, order, names, padding, depth, sizes. Holds no more
 * than one token. After any error it is unusable.
 */
export class NarReader {
  readonly #handler: NarHandler;
  /** Bytes not yet read, starting at `#at`. */
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The same bytes in words, where they lie on their boundaries and are worth it. */
  #words: Int32Array | undefined;
  /** Offset in the NAR of `#bytes[0]`. */
  #base = 0;
  #state: State = STATE.start;
  #contentLeft = 0;
  #contentPadding = 0;
  readonly #directories: { readonly path: ByteString; previousName: ByteString }[] = [];
  /** Path of the node that comes next. */
  #path: ByteString = "";

  constructor(handler: NarHandler) {
    this.#handler = handler;
  }

  /** NAR bytes read so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  get isDone(): boolean {
    return this.#state === STATE.done;
  }

  /** @throws {DevshellError} `NAR_…`, naming the byte offset */
  push(chunk: Buffer): void {
    this.pushUntilEnd(chunk);
    if (this.#state === STATE.done && this.#at < this.#bytes.length)
      throw this.#error("NAR_TRAILING", "unexpected bytes after the end", this.#at);
  }

  /**
   * As {@link push}, for a NAR with something else after it.
   * @returns how many bytes of the chunk belong to the NAR
   */
  pushUntilEnd(chunk: Buffer): number {
    const kept = this.#bytes.subarray(this.#at);
    this.#base += this.#at;
    this.#at = 0;
    this.#use(chunk);
    if (kept.length > 0) {
      // Not all of the chunk: a copy of a megabyte costs more than reading what is in it.
      this.#use(Buffer.concat([kept, chunk.subarray(0, JOINED_BYTES)]));
      if (chunk.length > JOINED_BYTES) {
        this.#steps(kept.length);
        if (this.#at < kept.length) throw new Error("a unit of a NAR is longer than it can be");
        this.#base += kept.length;
        this.#at -= kept.length;
        this.#use(chunk);
      }
    }
    this.#steps(Number.POSITIVE_INFINITY);
    if (this.#state === STATE.done) return chunk.length - (this.#bytes.length - this.#at);
    // The caller may reuse its buffer: keep an own copy of what is left.
    if (this.#at < this.#bytes.length) {
      const rest = Buffer.from(this.#bytes.subarray(this.#at));
      this.#base += this.#at;
      this.#bytes = rest;
      this.#words = undefined;
      this.#at = 0;
    }
    return chunk.length;
  }

  /** @throws {DevshellError} `NAR_TRUNCATED` unless the whole NAR has been read */
  end(): void {
    if (this.#state !== STATE.done) throw this.#error("NAR_TRUNCATED", "unexpected end", this.#bytes.length);
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#words =
      bytes.length >= WORTH_WORDS_BYTES && bytes.byteOffset % 4 === 0
        ? new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4))
        : undefined;
  }

  /** Reads units until one begins at `end` or later, or more bytes are needed for it. */
  #steps(end: number): void {
    while (this.#state !== STATE.done && this.#at < end) {
      const restart = this.#at;
      try {
        if (!this.#step()) return;
      } catch (error) {
        if (error !== NEED_MORE) throw error;
        this.#at = restart;
        return;
      }
    }
  }

  /** Reads one unit, all of it or (throwing NEED_MORE) none; false when content needs more bytes. */
  #step(): boolean {
    switch (this.#state) {
      case STATE.start:
        this.#magic();
        this.#state = STATE.nodeBody;
        return true;
      case STATE.nodeBody:
        this.#node();
        return true;
      case STATE.content:
        return this.#content();
      case STATE.contentPadding: {
        this.#need(this.#contentPadding);
        this.#zeros(this.#contentPadding);
        if (!this.#pass(CLOSE)) this.#tag(")");
        this.#handler.fileEnd();
        this.#nodeEnd();
        return true;
      }
      case STATE.entryOrClose:
        if (!this.#wholeFile()) this.#entryOrClose();
        return true;
      case STATE.entryEnd:
        if (!this.#pass(CLOSE)) this.#tag(")");
        this.#state = STATE.entryOrClose;
        return true;
      case STATE.done:
        return false;
    }
  }

  #magic(): void {
    const at = this.#at;
    if (this.#bytes.length - at >= 8 && this.#bytes.readUInt32LE(at) !== 13)
      throw this.#error("NAR_MAGIC", "this is not a Nix archive", at);
    if (this.#string(13) !== "nix-archive-1") throw this.#error("NAR_MAGIC", "this is not a Nix archive", at);
  }

  #node(): void {
    if (this.#pass(OPEN_CONTENTS)) {
      this.#regular(false);
      return;
    }
    if (this.#pass(OPEN_EXECUTABLE)) {
      this.#regular(true);
      return;
    }
    this.#tag("(");
    this.#tag("type");
    const at = this.#at;
    const type = this.#string(MAX_TAG_BYTES);
    if (type === "regular") {
      let tag = this.#string(MAX_TAG_BYTES);
      const isExecutable = tag === "executable";
      if (isExecutable) {
        this.#string(0);
        tag = this.#string(MAX_TAG_BYTES);
      }
      if (tag !== "contents") throw this.#error("NAR_TAG", `expected "contents" but found ${show(tag)}`, at);
      this.#regular(isExecutable);
    } else if (type === "symlink") {
      this.#tag("target");
      const targetAt = this.#at;
      const target = this.#string(NAR_MAX_TARGET_BYTES);
      this.#tag(")");
      if (target === "" || target.includes("\0"))
        throw this.#error("NAR_TARGET", `symlink target ${show(target)} is not possible`, targetAt);
      this.#handler.symlink(this.#path, target);
      this.#nodeEnd();
    } else if (type === "directory") {
      if (this.#directories.length >= NAR_MAX_DEPTH)
        throw this.#error("NAR_DEPTH", `directories nest deeper than ${NAR_MAX_DEPTH}`, at);
      this.#directories.push({ path: this.#path, previousName: "" });
      this.#state = STATE.entryOrClose;
      this.#handler.directory(this.#path);
    } else throw this.#error("NAR_TYPE", `unknown file type ${show(type)}`, at);
  }

  #regular(isExecutable: boolean): void {
    const size = this.#size();
    this.#contentLeft = size;
    this.#contentPadding = (8 - (size % 8)) % 8;
    this.#state = STATE.content;
    this.#handler.file(this.#path, size, isExecutable, this.offset);
  }

  #content(): boolean {
    if (this.#contentLeft > 0) {
      const count = Math.min(this.#contentLeft, this.#bytes.length - this.#at);
      if (count === 0) return false;
      this.#handler.data(this.#bytes, this.#at, this.#at + count);
      this.#at += count;
      this.#contentLeft -= count;
    }
    if (this.#contentLeft > 0) return false;
    this.#state = STATE.contentPadding;
    return true;
  }

  /**
   * Reads an entry that is a file and lies in the buffer whole, as most do.
   * @returns false where the next entry is anything else, or not as it should be: it is to be read part by part then
   */
  #wholeFile(): boolean {
    const bytes = this.#bytes;
    const words = this.#words;
    if (words === undefined || !isAt(words, this.#at, OPEN_ENTRY_WORDS)) return false;
    const nameAt = this.#at + OPEN_ENTRY.length + 8;
    const nameSize = sizeAt(bytes, nameAt - 8);
    let at = skipZeros(bytes, nameAt, nameSize);
    if (at < 0 || nameSize > NAR_MAX_NAME_BYTES) return false;
    const isExecutable = !isAt(words, at, OPEN_FILE_WORDS);
    if (isExecutable && !isAt(words, at, OPEN_PROGRAM_WORDS)) return false;
    at += 4 * (isExecutable ? OPEN_PROGRAM_WORDS : OPEN_FILE_WORDS).length;
    const size = sizeAt(bytes, at);
    const contentAt = at + 8;
    at = skipZeros(bytes, contentAt, size);
    if (at < 0 || !isAt(words, at, FILE_END_WORDS)) return false;
    this.#enter(bytes.toString("latin1", nameAt, nameAt + nameSize), nameAt - 8);
    this.#handler.file(this.#path, size, isExecutable, this.#base + contentAt);
    if (size > 0) this.#handler.data(bytes, contentAt, contentAt + size);
    this.#handler.fileEnd();
    this.#at = at + 4 * FILE_END_WORDS.length;
    return true;
  }

  #entryOrClose(): void {
    const directory = this.#directories.at(-1);
    if (directory === undefined) throw new Error("no open directory");
    if (!this.#pass(OPEN_ENTRY)) {
      const tagAt = this.#at;
      const tag = this.#string(MAX_TAG_BYTES);
      if (tag === ")") {
        this.#directories.pop();
        this.#handler.directoryEnd(directory.path);
        this.#nodeEnd();
        return;
      }
      if (tag !== "entry")
        throw this.#error("NAR_TAG", `expected "entry" or ")" but found ${show(tag)}`, tagAt);
      this.#tag("(");
      this.#tag("name");
    }
    const at = this.#at;
    const name = this.#string(NAR_MAX_NAME_BYTES);
    if (!this.#pass(NODE)) this.#tag("node");
    this.#enter(name, at);
    this.#state = STATE.nodeBody;
  }

  /** Goes on to the entry of this name, which is written at `at`. */
  #enter(name: ByteString, at: number): void {
    const directory = this.#directories.at(-1);
    if (directory === undefined) throw new Error("no open directory");
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0"))
      throw this.#error("NAR_NAME", `entry name ${show(name)} is not possible`, at);
    if (name === directory.previousName)
      throw this.#error("NAR_ORDER", `NAR directory is not sorted: entry ${show(name)} occurs twice`, at);
    if (name < directory.previousName)
      throw this.#error(
        "NAR_ORDER",
        `NAR directory is not sorted: entry ${show(name)} must sort after ${show(directory.previousName)}`,
        at,
      );
    directory.previousName = name;
    this.#path = `${directory.path}/${name}`;
  }

  #nodeEnd(): void {
    this.#state = this.#directories.length === 0 ? STATE.done : STATE.entryEnd;
  }

  /**
   * Whether these very bytes come next; then they are passed. Reading them word by word makes a string of each.
   */
  #pass(expected: Buffer): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    const { length } = expected;
    if (bytes.length - start < length) return false;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== expected[i]) return false;
    this.#at = start + length;
    return true;
  }

  #tag(expected: string): void {
    const at = this.#at;
    const tag = this.#string(MAX_TAG_BYTES);
    if (tag !== expected) throw this.#error("NAR_TAG", `expected "${expected}" but found ${show(tag)}`, at);
  }

  #string(maxBytes: number): ByteString {
    const at = this.#at;
    const size = this.#size();
    if (size > maxBytes)
      throw this.#error(
        "NAR_STRING_LENGTH",
        `a string of ${size} bytes where at most ${maxBytes} are possible`,
        at,
      );
    const pad = (8 - (size % 8)) % 8;
    this.#need(size + pad);
    const text = this.#bytes.toString("latin1", this.#at, this.#at + size);
    this.#at += size;
    this.#zeros(pad);
    return text;
  }

  #size(): number {
    this.#need(8);
    const size = this.#bytes.readUInt32LE(this.#at) + this.#bytes.readUInt32LE(this.#at + 4) * 0x1_0000_0000;
    if (size > Number.MAX_SAFE_INTEGER) throw this.#error("NAR_SIZE", "a size beyond 2^53", this.#at);
    this.#at += 8;
    return size;
  }

  #zeros(count: number): void {
    for (let i = 0; i < count; i++)
      if (this.#bytes[this.#at + i] !== 0)
        throw this.#error("NAR_PADDING", "padding is not zero", this.#at + i);
    this.#at += count;
  }

  #need(count: number): void {
    if (this.#bytes.length - this.#at < count) throw NEED_MORE;
  }

  #error(code: string, why: string, at: number): DevshellError {
    return new DevshellError(code, `Cannot read NAR at byte ${this.#base + at}: ${why}`);
  }
}

/** Whether these words stand at a byte. */
function isAt(text: Int32Array, at: number, expected: Int32Array): boolean {
  const first = at >> 2;
  if ((at & 3) !== 0 || first + expected.length > text.length) return false;
  for (let i = 0; i < expected.length; i++) if (text[first + i] !== expected[i]) return false;
  return true;
}

/** The size at a byte; -1 where so much does not follow. */
function sizeAt(bytes: Buffer, at: number): number {
  if (at + 8 > bytes.length) return -1;
  if ((bytes[at + 4]! | bytes[at + 5]! | bytes[at + 6]! | bytes[at + 7]!) !== 0) return -1;
  const size = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return size <= bytes.length - at - 8 ? size : -1;
}

/** @returns the place behind a string's padding; -1 where that is not there or not zero */
function skipZeros(bytes: Buffer, start: number, size: number): number {
  let at = start + size;
  const end = start + ((size + 7) & ~7);
  if (size < 0 || end > bytes.length) return -1;
  while (at < end) if (bytes[at++] !== 0) return -1;
  return at;
}

function show(text: ByteString): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
