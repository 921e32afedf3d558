import {
  StoreEndpoint,
  ServeStore,
  parseStorePath,
  sshAddressOf,
  type StorePath,
} from "../../store/index.ts";
import { bytesOfText } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import { parseCommandLine, usageError } from "./commandLine.ts";
import { openContext } from "./context.ts";
import { copyAndTell } from "./copyAndTell.ts";
import { printHelp, printVersion, say } from "./output.ts";
import { storePathOf } from "./storeArgument.ts";

interface CopyClosure {
  readonly context: StoreContext;
  readonly remote: ServeStore;
  readonly words: readonly string[];
  readonly includeOutputs: boolean;
  readonly isSubstituted: boolean;
  readonly isDryRun: boolean;
}

/** `nix-copy-closure [--to|--from] HOST PATHS`: paths with all that they refer to, to or from another machine. */
export async function runNixCopyClosure(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  let isTo = true;
  let isCompressed = false;
  let includeOutputs = false;
  let isSubstituted = false;
  let isDryRun = false;
  let wanted: (() => number) | undefined;
  const flags = parseCommandLine("nix-copy-closure", argv, (word) => {
    if (word === "--help") wanted = () => printHelp("nix-copy-closure");
    else if (word === "--version") wanted = () => printVersion("nix-copy-closure");
    else if (/^--(gzip|bzip2|xz)$/.test(word)) {
      if (word !== "--gzip") say(`warning: '${word}' is not implemented, falling back to gzip`);
      isCompressed = true;
    } else if (word === "--from") isTo = false;
    else if (word === "--to") isTo = true;
    else if (word === "--include-outputs") includeOutputs = true;
    else if (word === "--show-progress") say("Warning: '--show-progress' is not implemented");
    else if (word === "--dry-run") isDryRun = true;
    else if (word === "--use-substitutes" || word === "-s") isSubstituted = true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (wanted !== undefined) return wanted();
  const [host, ...paths] = words;
  if (host === undefined) throw usageError("nix-copy-closure", "no host name specified");
  const { url } = sshAddressOf(host);
  using context = openContext(flags);
  await using remote = await ServeStore.open(context.settings, isCompressed ? `${url}?compress=true` : url);
  const request = { context, remote, words: paths, includeOutputs, isSubstituted, isDryRun };
  await (isTo ? copyTo(request) : copyFrom(request));
  return 0;
}

async function copyTo({ context, remote, words, ...options }: CopyClosure): Promise<void> {
  const { store } = context;
  const roots = words.map((word) => storePathOf(store.storeDir, word));
  const closure = store.closureOf(roots, { includeOutputs: options.includeOutputs });
  const there = await remote.queryValidPaths(closure, { isSubstituted: options.isSubstituted });
  const missing = closure.filter((path) => !there.has(path));
  if (options.isDryRun) tellPlan(missing);
  else {
    const source = new StoreEndpoint(store);
    await copyAndTell({ ...UNCHECKED, source, target: remote, paths: missing });
  }
}

async function copyFrom({ context, remote, words, ...options }: CopyClosure): Promise<void> {
  const { store } = context;
  const roots = words.map((word) => parseStorePath(store.storeDir, bytesOfText(word)));
  const closure = await remote.queryClosure(roots, options.includeOutputs);
  const isMissing = (path: StorePath): boolean => !store.isValidPath(path);
  if (options.isSubstituted && !options.isDryRun)
    // What no substituter has comes from the other machine.
    await context.tryRealise(closure.filter(isMissing).map((path) => ({ kind: "opaque", path })));
  const missing = closure.filter(isMissing);
  if (options.isDryRun) tellPlan(missing);
  else {
    const target = new StoreEndpoint(store);
    await copyAndTell({ ...UNCHECKED, source: remote, target, paths: missing });
  }
}

/** Who may speak to the other machine's store is trusted by it, and trusts it. */
const UNCHECKED = { isRecursive: false, checksSignatures: false } as const;

function tellPlan(missing: readonly StorePath[]): void {
  say(`${missing.length} paths would be copied:`);
  for (const path of missing) say(`  ${path}`);
}
