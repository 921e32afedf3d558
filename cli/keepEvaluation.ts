import type { ByteString } from "../core/index.ts";
import {
  evalKey,
  evaluationFacts,
  findEvalRecord,
  hasLinks,
  writeEvalRecord,
  type EvalLink,
  type DevSpec,
  type EnvironmentRequest,
  type EvalRecord,
  type StoreContext,
} from "../env/index.ts";

/** What a command says of its evaluation, so that its output can be kept. */
export interface Keeper {
  /** What is printed on standard error from here on (progress, builds) is no part of the evaluation. */
  endMessages(): void;
  /** Evaluation is done: what the command prints follows from what was read. */
  keep(context: StoreContext, links?: readonly EvalLink[]): void;
}

const NO_KEEPER: Keeper = { endMessages: () => undefined, keep: () => undefined };

/**
 * Runs a command whose output is kept, and printed again instead of running it while all that its evaluation read is
 * unchanged: by the launcher where that can tell, else here.
 * @param run where it does not call `keep`, or fails, nothing is kept
 * @returns the exit status
 */
export async function keepEvaluation(
  name: string,
  argv: readonly string[],
  run: (keeper: Keeper) => Promise<number> | number,
): Promise<number> {
  const key = evalKey(name, argv, { isTerminal: process.stdout.isTTY === true });
  if (key === undefined || argv.some((word) => READING_FLAGS.has(word))) return run(NO_KEEPER);
  const known = findEvalRecord(key);
  if (known !== undefined && hasLinks(known)) {
    process.stderr.write(known.messages, "latin1");
    process.stdout.write(known.output, "latin1");
    return 0;
  }
  const startedMs = Date.now();
  using output = new CopiedStream(process.stdout);
  using messages = new CopiedStream(process.stderr);
  let kept: Omit<EvalRecord, "output"> | undefined;
  const status = await run({
    endMessages: () => messages.close(),
    keep: (context, links = []) => {
      const facts = evaluationFacts(context);
      if (facts !== undefined) kept = { ...facts, links, messages: messages.bytes };
    },
  });
  if (status !== 0 || kept === undefined) return status;
  try {
    writeEvalRecord(key, { ...kept, output: output.bytes }, startedMs);
  } catch {
    // a cache that cannot be written holds less
  }
  return status;
}

/** Whether what decides which spec is meant was recorded: of data specs and of a search upward not all is. */
export function isFoundAgain(spec: DevSpec, request: EnvironmentRequest): boolean {
  switch (spec.kind) {
    case "expression":
    case "searchPath":
      return true;
    case "file":
      return !spec.isFound || spec.root === request.directory;
    default:
      return false;
  }
}

/** What they read is read before there is anything to record it. */
const READING_FLAGS: ReadonlySet<string> = new Set(["--arg-from-file", "--arg-from-stdin"]);

/** Copies what is written to a stream, until it is closed. */
class CopiedStream implements Disposable {
  readonly #stream: NodeJS.WriteStream;
  readonly #chunks: Buffer[] = [];

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    const chunks = this.#chunks;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      const encoding = typeof rest[0] === "string" ? (rest[0] as BufferEncoding) : "utf8";
      chunks.push(typeof chunk === "string" ? Buffer.from(chunk, encoding) : Buffer.from(chunk));
      return write(chunk, ...rest);
    };
  }

  get bytes(): ByteString {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  close(): void {
    // What hid the stream's own.
    Reflect.deleteProperty(this.#stream, "write");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
