import { DevshellError, hashStream, type ByteString } from "../../../core/index.ts";
import { NarReader, parseStorePath, type IncomingPathInfo } from "../../../store/index.ts";
import { openContext } from "../context.ts";
import { printLine, standardInput } from "../output.ts";
import { EXPORT_MAGIC } from "./exportFormat.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** Longer fields than these are no export. */
const MAX_FIELD_BYTES = 64 << 10;
const MAX_REFERENCES = 1 << 20;

/** `nix-store --import`: reads what `--export` wrote. */
export async function importPaths(operation: StoreOperation): Promise<number> {
  refuseWords(operation);
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { store } = context;
  const input = new ExportReader(standardInput());
  for (;;) {
    const more = input.number();
    if (more === 0) return 0;
    if (more !== 1)
      throw new DevshellError(
        "CLI_IMPORT",
        "input doesn't look like something created by 'nix-store --export'",
      );
    // A NAR comes before its name and references: it is held until they are known.
    const nar = input.nar();
    if (input.number() !== EXPORT_MAGIC)
      throw new DevshellError("CLI_IMPORT", "Nix archive cannot be imported; wrong format");
    const path = parseStorePath(store.storeDir, input.text());
    const count = input.number();
    if (count > MAX_REFERENCES)
      throw new DevshellError("CLI_IMPORT", `Cannot import "${path}": too many references`);
    const references = Array.from({ length: count }, () => parseStorePath(store.storeDir, input.text()));
    const deriver = input.text();
    if (input.number() === 1) input.text();
    const running = hashStream("sha256");
    nar.forEach((chunk) => running.update(chunk));
    const info: IncomingPathInfo = {
      path,
      narHash: running.digest(),
      narSizeBytes: nar.reduce((size, chunk) => size + chunk.length, 0),
      references,
      deriver: deriver === "" ? undefined : parseStorePath(store.storeDir, deriver),
    };
    await store.addToStoreFromStream(info, nar);
    printLine(path);
  }
}

/** Fields and archives from chunks of any size. */
class ExportReader {
  readonly #source: Generator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(source: Generator<Buffer>) {
    this.#source = source;
  }

  number(): number {
    const value = this.#take(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new DevshellError("CLI_IMPORT", `Cannot import: the number ${value} is too large`);
    return Number(value);
  }

  text(): ByteString {
    const length = this.number();
    if (length > MAX_FIELD_BYTES)
      throw new DevshellError("CLI_IMPORT", `Cannot import: a field of ${length} bytes is too long`);
    const text = this.#take(length).toString("latin1");
    this.#take((8 - (length % 8)) % 8);
    return text;
  }

  /** One whole archive, checked. */
  nar(): Buffer[] {
    const ignore = (): void => undefined;
    const reader = new NarReader({
      directory: ignore,
      directoryEnd: ignore,
      symlink: ignore,
      file: ignore,
      data: ignore,
      fileEnd: ignore,
    });
    const chunks: Buffer[] = [];
    while (!reader.isDone) {
      if (this.#bytes.length === 0) this.#more();
      const used = reader.pushUntilEnd(this.#bytes);
      chunks.push(Buffer.from(this.#bytes.subarray(0, used)));
      this.#bytes = this.#bytes.subarray(used);
    }
    return chunks;
  }

  #take(length: number): Buffer {
    while (this.#bytes.length < length) this.#more();
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  #more(): void {
    const next = this.#source.next();
    if (next.done === true) throw new DevshellError("CLI_IMPORT", "unexpected end-of-file");
    this.#bytes = Buffer.concat([this.#bytes, next.value]);
  }
}
