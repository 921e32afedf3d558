import { existsSync, writeSync } from "node:fs";
import { DevshellError, textOfBytes, type ByteString } from "../../../core/index.ts";
import { createStoreContext, type StoreContext } from "../../../env/index.ts";
import { debianBuilders } from "../../../packages/index.ts";
import {
  ByteSource,
  RemoteBuilders,
  keptElsewhere,
  parseStorePath,
  readNumber,
  readString,
  readStrings,
  realise,
  runOnMachine,
  type ClaimedMachine,
  type Decoder,
  type StorePath,
} from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";

/** Where the other side reads what builders print. */
const BUILDER_FD = 4;

/** What is asked of the hook: whether a machine of `builders` takes a derivation. */
interface HookRequest {
  readonly amWilling: boolean;
  readonly system: ByteString;
  readonly drvPath: StorePath;
  readonly features: readonly ByteString[];
}

/**
 * `nix __build-remote VERBOSITY`, the program of the option `build-hook`: a Nix that has a derivation to build sends its
 * settings and `try`; we answer on standard error by `# accept`, `# decline` or `# postpone`, and build it elsewhere.
 */
export async function buildRemote(argv: readonly string[]): Promise<number> {
  if (argv.length !== 1) throw usageError("nix __build-remote", "called without required arguments");
  const source = new ByteSource(process.stdin);
  const settings = await source.decode(readSettings());
  const store = settings.get("store");
  settings.delete("store");
  const maxJobs = settings.get("max-jobs") ?? "1";
  using context = createStoreContext({
    // Machines may be stores of this one, and build although we may not.
    settings: new Map([...settings, ["max-jobs", "1"]]),
    store: store === undefined || store === "auto" ? undefined : store,
  });
  const builders = new RemoteBuilders(
    context.settings,
    (target, paths, options) => realise(target, paths, { ...options, builtinBuilders: debianBuilders }),
    (problem) => tell(`warning: ${problem}`),
  );
  if (builders.isEmpty) {
    reply("# decline-permanently");
    return 0;
  }
  const { signal } = new AbortController();
  for (;;) {
    const request = (await source.hasMore()) ? await source.decode(readRequest(context)) : undefined;
    if (request === undefined) return 0;
    const { drvPath, system, features } = request;
    const isPossibleHere = maxJobs !== "0" && isOurs(context, request);
    const offer = await builders.offer({
      drvPath,
      system,
      features,
      isPossibleHere,
      hasRoomHere: () => request.amWilling,
      signal,
    });
    if (offer === undefined) reply("# decline");
    else if (offer === "later") reply("# postpone");
    else {
      await using machine = offer;
      reply(`# accept\n${machine.url}`);
      return await build(context, drvPath, machine, source);
    }
  }
}

async function build(
  context: StoreContext,
  drvPath: StorePath,
  machine: ClaimedMachine,
  source: ByteSource,
): Promise<number> {
  const { store } = context;
  const inputs = await source.decode(readStrings("inputs"));
  await source.decode(readStrings("wanted outputs"));
  const fd = existsSync(`/proc/self/fd/${BUILDER_FD}`) ? BUILDER_FD : process.stderr.fd;
  machine.onLine = (line) => void writeSync(fd, `${line}\n`, null, "latin1");
  const request = {
    store,
    drvPath,
    derivation: store.readDerivation(drvPath),
    inputPaths: new Set(inputs.map((path) => parseStorePath(store.storeDir, path))),
    pathInfo: (path: StorePath) => store.pathInfo(path),
    signal: new AbortController().signal,
  };
  const { result, outputs } = await runOnMachine(request, machine);
  if (outputs !== undefined) return 0;
  if (context.settings.config.keepFailed) tell(keptElsewhere(request));
  throw new DevshellError(
    "BUILD_FAILED",
    `build of '${drvPath}' on '${machine.url}' failed: ${textOfBytes(result.message)}`,
  );
}

function isOurs(context: StoreContext, { system, features }: HookRequest): boolean {
  const { config } = context.settings;
  const ours = (config.raw.get("system-features") ?? "").split(/\s+/);
  return (
    (system === config.system || config.extraPlatforms.includes(system)) &&
    features.every((feature) => ours.includes(feature))
  );
}

function* readSettings(): Decoder<Map<string, string>> {
  const settings = new Map<string, string>();
  while ((yield* readNumber()) !== 0) {
    const name = textOfBytes(yield* readString("a setting's name"));
    settings.set(name, textOfBytes(yield* readString("a setting's value")));
  }
  return settings;
}

function* readRequest({ settings }: StoreContext): Decoder<HookRequest | undefined> {
  if ((yield* readString("a word")) !== "try") return undefined;
  const amWilling = (yield* readNumber()) !== 0;
  const system = yield* readString("a system");
  const drvPath = parseStorePath(settings.storeDir, yield* readString("a store path"));
  return { amWilling, system, drvPath, features: yield* readStrings("features") };
}

function reply(text: string): void {
  process.stderr.write(`${text}\n`, "latin1");
}

/** In the form in which Nix's programs tell each other. */
function tell(message: string): void {
  reply(`@nix ${JSON.stringify({ action: "msg", level: 1, msg: message })}`);
}
