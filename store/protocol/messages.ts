import {
  DevshellError,
  bytesOfShown,
  shownText,
  type ByteString,
  type DevshellErrorOptions,
} from "../../core/index.ts";
import {
  readId,
  readLarge,
  readList,
  readNumber,
  readString,
  readBytes,
  wireError,
  type Decoder,
  type WireWriter,
} from "./wire.ts";
import type { ProtocolVersion } from "./version.ts";

/** How much is told, Nix's levels. */
export const VERBOSITY = {
  error: 0,
  warning: 1,
  notice: 2,
  info: 3,
  talkative: 4,
  chatty: 5,
  debug: 6,
  vomit: 7,
} as const;

export const ACTIVITY = {
  unknown: 0,
  copyPath: 100,
  fileTransfer: 101,
  realise: 102,
  copyPaths: 103,
  builds: 104,
  build: 105,
  substitute: 108,
} as const;

export const RESULT = {
  buildLogLine: 101,
  setPhase: 104,
  progress: 105,
  postBuildLogLine: 107,
} as const;

export type Field = number | ByteString;

/** What a server says while it works. */
export type ServerMessage =
  | { readonly kind: "log"; readonly text: ByteString }
  | {
      readonly kind: "start";
      readonly id: bigint;
      readonly level: number;
      readonly type: number;
      readonly text: ByteString;
      readonly fields: readonly Field[];
      readonly parent: bigint;
    }
  | { readonly kind: "stop"; readonly id: bigint }
  | { readonly kind: "result"; readonly id: bigint; readonly type: number; readonly fields: readonly Field[] }
  /** It wants so many bytes of what it was promised. */
  | { readonly kind: "read"; readonly maxBytes: number }
  | { readonly kind: "write"; readonly bytes: Buffer }
  | { readonly kind: "error"; readonly error: RemoteFailure }
  /** The work is done: the answer follows. */
  | { readonly kind: "last" };

export interface RemoteFailure {
  readonly message: ByteString;
  readonly status: number;
}

const TAG = {
  log: 0x6f6c6d67,
  read: 0x64617461,
  write: 0x64617416,
  last: 0x616c7473,
  error: 0x63787470,
  start: 0x53545254,
  stop: 0x53544f50,
  result: 0x52534c54,
} as const;

/** Since then errors are more than a text and a status. */
const STRUCTURED_ERRORS_SINCE = 26;
export const ACTIVITIES_SINCE = 20;
const MAX_CHUNK_BYTES = 64 << 20;

/** @throws {DevshellError} `PROTOCOL_INVALID` */
export function* readMessage({ minor }: ProtocolVersion): Decoder<ServerMessage> {
  const tag = yield* readNumber("a message's type");
  switch (tag) {
    case TAG.log:
      return { kind: "log", text: yield* readString("a message") };
    case TAG.start:
      return {
        kind: "start",
        id: yield* readId(),
        level: yield* readNumber("a level"),
        type: yield* readNumber("an activity's type"),
        text: yield* readString("an activity's text"),
        fields: yield* readFields(),
        parent: yield* readId(),
      };
    case TAG.stop:
      return { kind: "stop", id: yield* readId() };
    case TAG.result:
      return {
        kind: "result",
        id: yield* readId(),
        type: yield* readNumber("a result's type"),
        fields: yield* readFields(),
      };
    case TAG.read:
      return { kind: "read", maxBytes: yield* readNumber("a wish", MAX_CHUNK_BYTES) };
    case TAG.write:
      return { kind: "write", bytes: yield* readBytes("a piece of data", MAX_CHUNK_BYTES) };
    case TAG.error:
      return { kind: "error", error: yield* readFailure(minor) };
    case TAG.last:
      return { kind: "last" };
    default:
      throw wireError(`got unknown message type ${tag.toString(16)} from Nix daemon`);
  }
}

export function writeMessage(writer: WireWriter, message: ServerMessage, { minor }: ProtocolVersion): void {
  writer.number(TAG[message.kind]);
  switch (message.kind) {
    case "log":
      writer.string(message.text);
      break;
    case "start":
      writer.number(message.id).number(message.level).number(message.type).string(message.text);
      writeFields(writer, message.fields);
      writer.number(message.parent);
      break;
    case "stop":
      writer.number(message.id);
      break;
    case "result":
      writer.number(message.id).number(message.type);
      writeFields(writer, message.fields);
      break;
    case "read":
      writer.number(message.maxBytes);
      break;
    case "write":
      writer.bytes(message.bytes);
      break;
    case "error":
      writeFailure(writer, message.error, minor);
      break;
    case "last":
      break;
  }
}

function* readFields(): Decoder<Field[]> {
  return yield* readList("fields", function* (): Decoder<Field> {
    const type = yield* readNumber("a field's type");
    if (type === 0) return yield* readLarge();
    if (type === 1) return yield* readString("a field");
    throw wireError(`got unsupported field type ${type.toString(16)} from Nix daemon`);
  });
}

function writeFields(writer: WireWriter, fields: readonly Field[]): void {
  writer.number(fields.length);
  for (const field of fields)
    if (typeof field === "number") writer.number(0).number(field);
    else writer.number(1).string(field);
}

function* readFailure(minor: number): Decoder<RemoteFailure> {
  if (minor < STRUCTURED_ERRORS_SINCE)
    return { message: yield* readString("an error"), status: yield* readNumber("a status") };
  const type = yield* readString("an error's type");
  if (type !== "Error") throw wireError(`unexpected error type '${type}'`);
  yield* readNumber("a level");
  yield* readString("an error's name");
  const message = yield* readString("an error");
  yield* refusePosition();
  yield* readList("traces", function* () {
    yield* refusePosition();
    return yield* readString("a trace");
  });
  return { message, status: 1 };
}

function* refusePosition(): Decoder<void> {
  if ((yield* readNumber("a position")) !== 0) throw wireError("positions of errors are not understood");
}

function writeFailure(writer: WireWriter, { message, status }: RemoteFailure, minor: number): void {
  if (minor < STRUCTURED_ERRORS_SINCE) writer.string(message).number(status);
  else writer.string("Error").number(VERBOSITY.error).string("Error").string(message).number(0).number(0);
}

/** What a server's failure is to its client. */
export function errorOfFailure({ message, status }: RemoteFailure): DevshellError {
  const options: DevshellErrorOptions = status > 1 ? { exitStatus: status } : {};
  return new DevshellError("DAEMON_FAILED", plain(message).replace(/^error: /, ""), options);
}

export function failureOfError(error: unknown): RemoteFailure {
  const status = error instanceof DevshellError ? error.exitStatus : 1;
  const hint = error instanceof DevshellError && error.hint !== undefined ? `\n\nhint: ${error.hint}` : "";
  const message = error instanceof Error ? error.message : String(error);
  return { message: bytesOf(message + hint), status };
}

/** Messages are text or byte strings; the wire has bytes. */
export function bytesOf(text: string): ByteString {
  return Buffer.from(bytesOfShown(shownText(text))).toString("latin1");
}

/** Colours are the client's own business. */
export function plain(text: ByteString): ByteString {
  // eslint-disable-next-line no-control-regex -- the escape sequences are what is taken out
  return text.replace(/\u001B\[[0-9;]*m/g, "");
}

/**
 * What a client does about what the server says while it works.
 * @param hasContent whether the server was promised content, for which it may ask
 * @returns how many bytes of it the server wants at most; "more" where it goes on, "done" where its answer follows
 * @throws {DevshellError} what it failed with; `PROTOCOL_INVALID`
 */
export function heedMessage(
  message: ServerMessage,
  hasContent: boolean,
  onMessage: (message: ServerMessage) => void,
): number | "more" | "done" {
  switch (message.kind) {
    case "last":
      return "done";
    case "error":
      throw errorOfFailure(message.error);
    case "read":
      if (!hasContent) throw wireError("it asks for content that was not announced");
      return message.maxBytes;
    case "write":
      throw wireError("it sends content that was not asked for");
    default:
      onMessage(message);
      return "more";
  }
}
