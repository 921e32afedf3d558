import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import { findProgram, isProgram } from "../../io/index.ts";
import { WireWriter } from "../protocol/wire.ts";
import { BuildLog } from "../realise/buildLog.ts";
import { quotedLog, type BuildRequest } from "../realise/buildRequest.ts";
import { knownOutputPathsOf, type OutputPaths } from "../realise/outputs/outputPaths.ts";
import { runPostBuildHook } from "../realise/postBuildHook.ts";
import type { StoreSettings } from "../types.ts";
import type { MachineRequest } from "./remoteBuilders.ts";

type HookProcess = ChildProcessByStdio<Writable, null, Readable>;

/** Between two questions to a hook that said `postpone`. */
const POLL_MS = 500;
const KILL_AFTER_MS = 500;
const MAX_LINE_BYTES = 1 << 20;
/** Nix's `info`. */
const VERBOSITY = "3";
/** What a hook prints on standard output goes where its messages go; 4 is for builders' output, 5 its other end. */
const START = 'exec "$@" >&2';

/** The words of the option `build-hook`, where that is not Nix's own program, whose work {@link RemoteBuilders} does. */
export function foreignHook({ config }: StoreSettings): readonly string[] | undefined {
  const words = (config.raw.get("build-hook") ?? "").split(/\s+/).filter((word) => word !== "");
  const isNixs = words.length === 2 && /^(?:.*\/)?nix$/.test(words[0] ?? "") && words[1] === "__build-remote";
  return words.length === 0 || isNixs ? undefined : words;
}

/** A program that was asked whether it builds a derivation, and does. It adds the outputs to the store itself. */
export class BuildHook implements AsyncDisposable {
  readonly url: string;
  readonly #child: HookProcess;
  readonly #lines: HookLines;
  readonly #ended: Promise<string | undefined>;

  private constructor(
    url: string,
    parts: {
      readonly child: HookProcess;
      readonly lines: HookLines;
      readonly ended: Promise<string | undefined>;
    },
  ) {
    this.url = url;
    this.#child = parts.child;
    this.#lines = parts.lines;
    this.#ended = parts.ended;
  }

  /**
   * Starts the program and asks it, by the protocol of Nix's `build-hook`.
   * @returns `never` where it builds nothing at all; `undefined` where it leaves this one to us
   * @throws {DevshellError} `BUILD_HOOK`
   */
  static async claim(
    words: readonly string[],
    settings: StoreSettings,
    request: MachineRequest,
    tell: (line: string) => void,
  ): Promise<BuildHook | "never" | undefined> {
    const [name = "", ...args] = words;
    const isPlace = name.includes("/");
    const path = isPlace ? (isProgram(name) ? name : undefined) : findProgram(name);
    if (path === undefined)
      throw new DevshellError(
        "BUILD_HOOK",
        `Cannot run the program of 'build-hook': there is no program '${name}'`,
      );
    const child = spawn("/bin/sh", ["-c", START, "build-hook", path, ...args, VERBOSITY], {
      cwd: "/",
      detached: true, // it is ended with what it started
      stdio: ["pipe", "ignore", "pipe", "ignore", "pipe", "pipe"],
    }) as unknown as HookProcess;
    const ended = new Promise<string | undefined>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        resolve(code === 0 ? undefined : signal === null ? `exit code ${code}` : signal),
      );
    });
    ended.catch(() => undefined); // awaited where it matters
    child.stdin.on("error", () => undefined); // it ended before it read all
    (child.stdio as unknown as readonly Readable[])[5]?.resume();
    const lines = new HookLines(child.stderr);
    const hook = (url: string): BuildHook => new BuildHook(url, { child, lines, ended });
    const abort = (): void => void kill(child, ended);
    request.signal.addEventListener("abort", abort, { once: true });
    try {
      child.stdin.write(settingsFor(settings).take());
      for (;;) {
        child.stdin.write(
          new WireWriter()
            .string("try")
            .number(request.hasRoomHere() ? 1 : 0)
            .string(request.system)
            .string(request.drvPath)
            .strings([...request.features].sort())
            .take(),
        );
        const answer = await lines.reply(tell);
        request.signal.throwIfAborted();
        if (answer === "accept") return hook((await lines.next()) ?? "");
        if (answer === "decline" || answer === "decline-permanently") {
          await hook("")[Symbol.asyncDispose]();
          return answer === "decline" ? undefined : "never";
        }
        if (answer === undefined) {
          tell(`error: build hook died unexpectedly: ${(await ended) ?? "it ended without an answer"}`);
          return undefined;
        }
        if (answer !== "postpone") throw new DevshellError("BUILD_HOOK", `bad hook reply '${answer}'`);
        await sleep(POLL_MS, undefined, { signal: request.signal });
      }
    } catch (error) {
      await kill(child, ended);
      throw error;
    } finally {
      request.signal.removeEventListener("abort", abort);
    }
  }

  /** @throws {DevshellError} `BUILD_FAILED`; the signal's reason when aborted */
  async build(request: BuildRequest): Promise<OutputPaths> {
    const { store, drvPath, derivation, signal, inputPaths } = request;
    await using log = BuildLog.open(store.settings, drvPath, {
      line: request.onLine,
      phase: request.onPhase,
      warn: request.onWarn,
    });
    const abort = (): void => void kill(this.#child, this.#ended);
    const maxLogBytes = Number(store.settings.config.raw.get("max-build-log-size") ?? "0");
    let isTooLong = false;
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      const missing = [...derivation.outputs.keys()].sort();
      this.#child.stdin.end(
        new WireWriter()
          .strings([...inputPaths].sort())
          .strings(missing)
          .take(),
      );
      const output = (this.#child.stdio as unknown as readonly Readable[])[4]!;
      const read = (async (): Promise<void> => {
        for await (const chunk of output as AsyncIterable<Buffer>) {
          log.write(chunk);
          if (maxLogBytes === 0 || log.sizeBytes <= maxLogBytes) continue;
          abort();
          isTooLong = true;
          return;
        }
      })();
      for (let line = await this.#lines.next(); line !== undefined; line = await this.#lines.next())
        passOn(line, request.onLine, (text) => log.write(Buffer.from(`${text}\n`, "latin1")));
      await read;
      const status = await this.#ended;
      signal.throwIfAborted();
      if (isTooLong)
        throw new DevshellError(
          "BUILD_LOG_TOO_LONG",
          `build of '${drvPath}' was killed after it wrote more than ${maxLogBytes} bytes of log output`,
          { exitStatus: 100 },
        );
      if (status !== undefined) throw failed(request, `the build hook ended with ${status}`, log.tail);
    } finally {
      signal.removeEventListener("abort", abort);
    }
    const outputs = knownOutputPathsOf(store, drvPath, derivation, "*");
    if (outputs === undefined || ![...outputs.values()].every((path) => store.isValidPath(path)))
      throw failed(request, "some outputs are unexpectedly invalid after the build hook has ended", log.tail);
    await runPostBuildHook(request, outputs);
    return outputs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await kill(this.#child, this.#ended);
  }
}

/** Lines of the hook's messages, one after the other. */
class HookLines {
  readonly #lines: AsyncGenerator<string>;

  constructor(stream: Readable) {
    this.#lines = linesOf(stream);
  }

  async next(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  /** Its answer; what it says before is passed on. */
  async reply(tell: (line: string) => void): Promise<string | undefined> {
    for (;;) {
      const line = await this.next();
      if (line === undefined) return undefined;
      if (line.startsWith("# ")) return line.slice(2);
      passOn(line, tell, tell);
    }
  }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_LINE_BYTES)
      throw new DevshellError(
        "BUILD_HOOK",
        `Cannot use the build hook: a line of its has more than ${MAX_LINE_BYTES} bytes`,
      );
  }
  if (rest !== "") yield rest;
}

/** Of what Nix's programs tell each other: messages, and lines of the build's log. */
function passOn(line: string, tell: (text: string) => void, log: (text: string) => void): void {
  if (!line.startsWith("@nix ")) {
    tell(line);
    return;
  }
  let note: { action?: unknown; msg?: unknown; type?: unknown; fields?: unknown };
  try {
    note = JSON.parse(Buffer.from(line.slice(5), "latin1").toString("utf8")) as typeof note;
  } catch {
    tell(line);
    return;
  }
  if (note.action === "msg" && typeof note.msg === "string") tell(bytesOfText(note.msg));
  const [text] = Array.isArray(note.fields) ? (note.fields as readonly unknown[]) : [];
  if (note.action === "result" && note.type === BUILD_LOG_LINE && typeof text === "string")
    log(bytesOfText(text));
}

const BUILD_LOG_LINE = 101;

/** All of ours, and the store as it opens it again. */
function settingsFor(settings: StoreSettings): WireWriter {
  const { storeDir, stateDir, logDir, realStoreDir = storeDir, config } = settings;
  const place = new URLSearchParams({ store: storeDir, state: stateDir, log: logDir, real: realStoreDir });
  const writer = new WireWriter();
  for (const [name, value] of new Map([...config.raw, ["store", `local?${place.toString()}`]]))
    writer.number(1).string(bytesOfText(name)).string(bytesOfText(value));
  return writer.number(0);
}

function failed(request: BuildRequest, why: string, tail: readonly string[]): DevshellError {
  return new DevshellError(
    "BUILD_FAILED",
    `Cannot build '${request.drvPath}'.\nReason: ${why}.${quotedLog(request, tail)}`,
    {
      exitStatus: 100,
    },
  );
}

/** It has time to clean up. */
async function kill(child: HookProcess, ended: Promise<unknown>): Promise<void> {
  const send = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, signal);
    } catch {
      // gone
    }
  };
  send("SIGTERM");
  const late = setTimeout(() => send("SIGKILL"), KILL_AFTER_MS);
  await ended.catch(() => undefined);
  clearTimeout(late);
}
