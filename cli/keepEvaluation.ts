import { isDeepStrictEqual } from "node:util";
import type { ByteString } from "../core/index.ts";
import {
  evalKey,
  evaluationFacts,
  findEvalRecord,
  hasLinks,
  isSameInput,
  writeEvalParts,
  writeEvalRecord,
  type EvalLink,
  type DevSpec,
  type EvalKey,
  type EnvironmentRequest,
  type EvalRecord,
  type StoreContext,
  type TrackedInput,
} from "../env/index.ts";

/** One of a command's several results: what a command line of its own would print. */
export interface Part {
  /** That command line. */
  readonly words: readonly string[];
  /** What it says on standard error although evaluation says nothing. */
  readonly messages: ByteString;
  readonly print: () => void;
  /** Says that where the rest is printed again; at most once for all parts. */
  readonly warn: () => void;
}

/** What a command says of its evaluation, so that its output can be kept. */
export interface Keeper {
  /** Whether anything can be kept; where not, nobody need record what is read. */
  readonly isKeeping: boolean;
  /** Evaluates and prints one of the command's several results, or prints it again. */
  part(context: StoreContext, part: Part): void;
  /** What is printed on standard error from here on (progress, builds) is no part of the evaluation. */
  endMessages(): void;
  /** Evaluation is done: what the command prints follows from what was read. */
  keep(context: StoreContext, links?: readonly EvalLink[]): void;
}

const NO_KEEPER: Keeper = {
  isKeeping: false,
  part: (_context, { print }) => print(),
  endMessages: () => undefined,
  keep: () => undefined,
};

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
  const keyOf = (words: readonly string[]): EvalKey | undefined =>
    words.some((word) => READING_FLAGS.has(word))
      ? undefined
      : evalKey(name, words, { isTerminal: process.stdout.isTTY === true });
  const key = keyOf(argv);
  if (key === undefined) return run(NO_KEEPER);
  const startedMs = Date.now();
  const known = findEvalRecord(key);
  if (known !== undefined && hasLinks(known)) {
    process.stderr.write(known.messages, "latin1");
    process.stdout.write(known.output, "latin1");
    return 0;
  }
  const output = new CopiedStream(process.stdout);
  const messages = new CopiedStream(process.stderr);
  const knownParts: EvalRecord[] = [];
  const made: { readonly key: EvalKey; readonly record: EvalRecord }[] = [];
  let kept: Omit<EvalRecord, "output"> | undefined;
  const keeper: Keeper = {
    isKeeping: true,
    part: (context, part) => {
      const partKey = keyOf(part.words);
      const again = partKey === undefined ? undefined : findEvalRecord(partKey, process.env, true);
      if (again !== undefined && again.messages === part.messages) {
        knownParts.push(again);
        part.warn();
        process.stdout.write(again.output, "latin1");
        return;
      }
      const printed = output.bytes.length;
      part.print();
      const facts = evaluationFacts(context);
      if (facts === undefined || partKey === undefined) return;
      // A trace is seen once: the parts after it would trace, too, if they were evaluated alone.
      if (messages.bytes !== "" && messages.bytes !== part.messages) return;
      const record = { ...facts, links: [], messages: part.messages, output: output.bytes.slice(printed) };
      made.push({ key: partKey, record });
    },
    endMessages: () => messages.close(),
    keep: (context, links = []) => {
      const facts = evaluationFacts(context);
      if (facts !== undefined) kept = { ...facts, links, messages: messages.bytes };
    },
  };
  let status: number;
  // Without `using`, of which V8 has not all while the start-up snapshot is made: `rehearse` runs this there.
  try {
    status = await run(keeper);
  } finally {
    messages.close();
    output.close();
  }
  if (status !== 0 || kept === undefined) return status;
  const whole = withParts({ ...kept, output: output.bytes }, knownParts);
  try {
    const isKept = whole !== undefined && writeEvalRecord(key, whole, startedMs);
    // Where something changed meanwhile, it changed in a part.
    if (isKept) writeEvalParts(made, startedMs);
  } catch {
    // a cache that cannot be written holds less
  }
  return status;
}

/** A record of what was evaluated and what was known; undefined where something changed in between. */
function withParts(record: EvalRecord, parts: readonly EvalRecord[]): EvalRecord | undefined {
  if (parts.length === 0) return record;
  const inputs = new Map<string, EvalRecord["inputs"][number]>();
  for (const input of [record, ...parts].flatMap((each) => each.inputs)) {
    const name = `${input.kind} ${input.kind === "variable" ? input.name : input.path}`;
    const other = inputs.get(name);
    if (other !== undefined && !isSameInput(other, input)) return undefined;
    inputs.set(name, other === undefined ? input : withOutlineOfBoth(other, input));
  }
  const required = new Set([record, ...parts].flatMap((each) => each.required));
  return { ...record, inputs: [...inputs.values()], required: [...required] };
}

/** What two evaluations saw of one file is known only where it is the same. */
function withOutlineOfBoth(a: TrackedInput, b: TrackedInput): TrackedInput {
  if (!("outline" in a) || a.outline === undefined) return a;
  const isSame = "outline" in b && isDeepStrictEqual(a.outline, b.outline);
  return isSame ? a : { ...a, outline: undefined };
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

/** What they read is read before there is anything to record it, or is the user's answers. */
const READING_FLAGS: ReadonlySet<string> = new Set(["--arg-from-file", "--arg-from-stdin", "--debugger"]);

/** Copies what is written to a stream, until it is closed. */
class CopiedStream {
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
}
