import type { Writable } from "node:stream";
import { DevshellError, textOfBytes, bytesOfText } from "../../core/index.ts";
import { derivationNameOfPath } from "../format/storePath.ts";
import { narChunks } from "../format/nar.ts";
import type { ByteSource } from "../protocol/byteSource.ts";
import { readBasicDerivation, readPath, readPaths } from "../protocol/values.ts";
import { readFlag, readNumber, readStrings, WireWriter, wireError, type Decoder } from "../protocol/wire.ts";
import { statusOf, type BuildResult, type BuiltOutput } from "../protocol/buildResult.ts";
import type { RealiseReport } from "../realise/report.ts";
import { overlayStore, withDerivation } from "../realise/storeOverlay.ts";
import type { Store } from "../store.ts";
import { parseStorePath } from "../format/storePath.ts";
import type {
  Derivation,
  DerivedPath,
  OutputName,
  RealiseOptions,
  StorePath,
  StoreSettings,
} from "../types.ts";
import { importPaths } from "./importPaths.ts";
import { copies, MessageSink } from "./messageSink.ts";
import { takeBytes } from "../protocol/readNar.ts";
import {
  SERVE_CLIENT_MAGIC,
  SERVE_COMMAND,
  SERVE_LATEST,
  SERVE_SERVER_MAGIC,
  commonWire,
  readBuildOptions,
  readIncomingPath,
  serveMinorOf,
  serveVersionNumber,
  writeServeBuildResult,
  writeServePathInfo,
  type ServeBuildOptions,
} from "./serveProtocol.ts";

export interface ServeSessionOptions<Served extends Store = Store> {
  readonly store: Served;
  /** `--write`: paths may be added and built. */
  readonly isWritable: boolean;
  readonly realise: (
    store: Served,
    targets: readonly DerivedPath[],
    options: RealiseOptions,
  ) => Promise<RealiseReport>;
  /** Told what builders print. */
  readonly onLine: (line: string) => void;
}

/**
 * Answers one client of `nix-store --serve` until it goes.
 * @throws {DevshellError} whatever makes a command fail: the protocol has no other word for it
 */
export async function serveSession<Served extends Store>(
  source: ByteSource,
  output: Writable,
  options: ServeSessionOptions<Served>,
): Promise<void> {
  const sink = new MessageSink(output, "the client");
  if ((await source.decode(readNumber())) !== SERVE_CLIENT_MAGIC) throw wireError("protocol mismatch");
  const hello = new WireWriter().number(SERVE_SERVER_MAGIC).number(serveVersionNumber(SERVE_LATEST));
  await sink.send(hello.take());
  const minor = serveMinorOf(await source.decode(readNumber()));
  if (minor === undefined) throw wireError("the client speaks another protocol than 2.x");
  const session = new ServeSession(source, sink, Math.min(minor, SERVE_LATEST), options);
  while (await source.hasMore()) await session.answer(await source.decode(readNumber("a command")));
}

class ServeSession<Served extends Store> {
  readonly #source: ByteSource;
  readonly #sink: MessageSink;
  readonly #minor: number;
  readonly #options: ServeSessionOptions<Served>;
  readonly #store: Served;
  readonly #gone = new AbortController();

  constructor(source: ByteSource, sink: MessageSink, minor: number, options: ServeSessionOptions<Served>) {
    this.#source = source;
    source.onEnd(() => this.#gone.abort(wireError("the client has gone")));
    this.#sink = sink;
    this.#minor = minor;
    this.#options = options;
    this.#store = options.store;
  }

  answer(command: number): Promise<void> {
    switch (command) {
      case SERVE_COMMAND.queryValidPaths:
        return this.#queryValidPaths();
      case SERVE_COMMAND.queryPathInfos:
        return this.#queryPathInfos();
      case SERVE_COMMAND.dumpStorePath:
        return this.#dumpStorePath();
      case SERVE_COMMAND.importPaths:
        return this.#importPaths();
      case SERVE_COMMAND.buildPaths:
        return this.#buildPaths();
      case SERVE_COMMAND.queryClosure:
        return this.#queryClosure();
      case SERVE_COMMAND.buildDerivation:
        return this.#buildDerivation();
      case SERVE_COMMAND.addToStoreNar:
        return this.#addToStoreNar();
      default:
        throw wireError(`unknown serve command ${command}`);
    }
  }

  async #queryValidPaths(): Promise<void> {
    const isLocked = await this.#read(readFlag());
    const isSubstituted = await this.#read(readFlag());
    const paths = await this.#readPaths();
    const { isWritable } = this.#options;
    if (isLocked && isWritable) this.#store.addTempRoots(paths);
    if (isSubstituted && isWritable) {
      const missing = paths.filter((path) => !this.#store.isValidPath(path));
      const targets = missing.map((path) => ({ kind: "opaque", path }) as const);
      const { settings } = this.#store;
      // What no substituter has is no failure, nor one that is out of reach.
      const store = overlayStore(this.#store, {
        settings: { ...settings, config: { ...settings.config, keepGoing: true, substitute: true } },
      });
      if (targets.length > 0) await this.#realise(store, targets);
    }
    const valid = paths.filter((path) => this.#store.isValidPath(path));
    await this.#send(new WireWriter().strings(valid));
  }

  async #queryPathInfos(): Promise<void> {
    for (const path of await this.#readPaths()) {
      const info = this.#store.queryPathInfo(path);
      if (info === undefined) continue;
      const writer = new WireWriter().string(path);
      writeServePathInfo(writer, info, this.#minor);
      await this.#send(writer);
    }
    await this.#send(new WireWriter().string(""));
  }

  async #dumpStorePath(): Promise<void> {
    const { path } = this.#store.pathInfo(await this.#read(readPath(commonWire(this.#store.storeDir))));
    await this.#sink.sendAll(copies(narChunks(this.#store.realPath(path))));
  }

  async #queryClosure(): Promise<void> {
    const includeOutputs = await this.#read(readFlag());
    const paths = await this.#readPaths();
    await this.#send(new WireWriter().strings(this.#store.closureOf(paths, { includeOutputs })));
  }

  async #importPaths(): Promise<void> {
    this.#requireWritable("importing paths is not allowed");
    for await (const path of importPaths(this.#store, this.#source)) this.#store.addTempRoots([path]);
    await this.#send(new WireWriter().number(1));
  }

  async #addToStoreNar(): Promise<void> {
    this.#requireWritable("importing paths is not allowed");
    const info = await this.#read(readIncomingPath(this.#store.storeDir));
    const nar = takeBytes(this.#source, info.narSizeBytes);
    await this.#store.addToStoreFromStream(info, withoutReturn(nar));
    // A path that was there already was not read.
    for await (const _ of nar);
    await this.#send(new WireWriter().number(1));
  }

  async #buildPaths(): Promise<void> {
    this.#requireWritable("building paths is not allowed");
    const texts = await this.#read(readStrings("paths"));
    const targets = texts.map((text) => derivedPathOf(this.#store.storeDir, text));
    const options = await this.#read(readBuildOptions(this.#minor));
    const report = await this.#realise(
      overlayStore(this.#store, { settings: buildSettings(this.#store.settings, options) }),
      targets,
    );
    const writer = new WireWriter();
    if (report.failures.length === 0) writer.number(0);
    else writer.number(report.exitStatus).string(messageOf(report));
    await this.#send(writer);
  }

  async #buildDerivation(): Promise<void> {
    this.#requireWritable("building paths is not allowed");
    const { storeDir } = this.#store;
    const drvPath = await this.#read(readPath(commonWire(storeDir)));
    const name = derivationNameOfPath(drvPath);
    const derivation = await this.#read(readBasicDerivation(commonWire(storeDir), name));
    const options = await this.#read(readBuildOptions(this.#minor));
    const settings = buildSettings(this.#store.settings, options);
    // It was sent here to be built here.
    const ours = overlayStore(this.#store, {
      settings: withoutBuilders(settings),
      ...withDerivation(this.#store, drvPath, derivation),
    });
    const wasValid = outputPaths(derivation).every(([, path]) => this.#store.isValidPath(path));
    const startTime = Math.floor(Date.now() / 1000);
    const report = await this.#realise(ours, [{ kind: "built", drvPath, outputs: "*" }]);
    const result: BuildResult = {
      status: report.failures.length > 0 ? statusOf(report.failures[0]) : wasValid ? "alreadyValid" : "built",
      message: report.failures.length > 0 ? messageOf(report) : "",
      timesBuilt: wasValid ? 0 : 1,
      isNonDeterministic: report.failures.some(({ code }) => code === "BUILD_NOT_DETERMINISTIC"),
      startTime,
      stopTime: Math.floor(Date.now() / 1000),
      outputs: report.failures.length > 0 ? new Map() : builtOutputs(report),
    };
    const writer = new WireWriter();
    writeServeBuildResult(writer, result, this.#minor);
    await this.#send(writer);
  }

  /** Builds, and stops when the client goes. */
  async #realise(store: Served, targets: readonly DerivedPath[]): Promise<RealiseReport> {
    return await this.#options.realise(store, targets, {
      signal: this.#gone.signal,
      onEvent: (event) => {
        if (event.kind === "log") this.#options.onLine(event.line);
      },
    });
  }

  #requireWritable(refusal: string): void {
    if (!this.#options.isWritable) throw new DevshellError("SERVE_READ_ONLY", refusal);
  }

  #read<T>(decoder: Decoder<T>): Promise<T> {
    return this.#source.decode(decoder);
  }

  #readPaths(): Promise<StorePath[]> {
    return this.#read(readPaths(commonWire(this.#store.storeDir)));
  }

  #send(writer: WireWriter): Promise<void> {
    return this.#sink.send(writer.take());
  }
}

/** A reader that stops early must not end what is still to be read to its end. */
async function* withoutReturn(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
}

/** `/nix/store/….drv!out,dev`; a derivation alone means all its outputs, as does `!*`. */
function derivedPathOf(storeDir: string, text: string): DerivedPath {
  const at = text.indexOf("!");
  const path = parseStorePath(storeDir, at < 0 ? text : text.slice(0, at));
  if (at < 0)
    return path.endsWith(".drv") ? { kind: "built", drvPath: path, outputs: "*" } : { kind: "opaque", path };
  const outputs = text.slice(at + 1);
  return {
    kind: "built",
    drvPath: path,
    outputs: outputs === "*" || outputs === "" ? "*" : outputs.split(","),
  };
}

/** The client keeps the log, and has sent what it had no substitute for. */
function buildSettings(settings: StoreSettings, options: ServeBuildOptions): StoreSettings {
  const { config } = settings;
  return {
    ...settings,
    config: {
      ...config,
      substitute: false,
      maxSilentSeconds: options.maxSilentSeconds,
      buildTimeoutSeconds: options.timeoutSeconds,
      keepFailed: options.keepFailed,
      raw: new Map([
        ...config.raw,
        ["keep-build-log", "false"],
        ["max-build-log-size", String(options.maxLogBytes)],
      ]),
    },
  };
}

function withoutBuilders(settings: StoreSettings): StoreSettings {
  const { config } = settings;
  return { ...settings, config: { ...config, raw: new Map([...config.raw, ["builders", ""]]) } };
}

function messageOf({ failures }: RealiseReport): string {
  return bytesOfText(failures.map(({ message }) => textOfBytes(message)).join("\n"));
}

function outputPaths(derivation: Derivation): [OutputName, StorePath][] {
  return [...derivation.outputs].flatMap(([name, output]) =>
    "path" in output ? [[name, output.path] as [OutputName, StorePath]] : [],
  );
}

function builtOutputs({ results }: RealiseReport): Map<OutputName, BuiltOutput> {
  const outputs = [...(results[0]?.outputs ?? [])];
  return new Map(outputs.map(([name, path]) => [name, { path, signatures: [] }]));
}
