import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes, type ByteString } from "../../../../core/index.ts";
import { SHELL_PLACES, workingDirectory, type StoreContext } from "../../../../env/index.ts";
import { addGeneration, type StorePath } from "../../../../store/index.ts";
import { parseCommandLine, type CommonFlags, type MoreWords } from "../../commandLine.ts";
import { say } from "../../output.ts";
import { builtPathsOf } from "../builtPaths.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  openInstallables,
  takeInstallableFlag,
  targetsOf,
  type InstallableFlags,
  type Installables,
} from "../installables.ts";
import { buildEnvironment } from "./environmentDerivation.ts";
import {
  environmentScript,
  outputPlaces,
  readEnvironmentFile,
  rewriteText,
  type EnvironmentFile,
} from "./environmentFile.ts";

/** What `nix develop` and `nix print-dev-env` both are asked for. */
export interface DevRequest {
  readonly flags: CommonFlags;
  readonly installables: InstallableFlags;
  readonly words: readonly string[];
  /** Installable → the directory that stands for its outputs. */
  readonly redirects: readonly (readonly [string, string])[];
  /** The profile that is to keep the environment. */
  readonly profile: string | undefined;
}

/** An environment that was built, and what it was built from. */
export interface DevEnvironment {
  readonly file: EnvironmentFile;
  /** Where it is in the store: what keeps it, keeps all it needs. */
  readonly path: StorePath;
  readonly found: Installables;
}

/** @param own takes the command's own flags */
export function parseDevRequest(
  name: string,
  argv: readonly string[],
  own: (word: string, next: () => string, more: MoreWords) => boolean,
): DevRequest {
  const words: string[] = [];
  const redirects: [string, string][] = [];
  let profile: string | undefined;
  const installables = newInstallableFlags();
  const flags = parseCommandLine(name, argv, (word, next, more) => {
    if (more.isLiteral) words.push(word);
    else if (own(word, next, more) || takeInstallableFlag(installables, word, next)) return true;
    else if (word === "--profile") profile = next();
    else if (word === "--redirect") redirects.push([next(), next()]);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  return { flags, installables, words, redirects, profile };
}

export function openDevContext(name: string, { flags, installables }: DevRequest): StoreContext {
  return openInstallableContext(flags, installables, { name });
}

/** Evaluates what the words name and builds its environment; a file that was built before is read. */
export async function openDevEnvironment(
  context: StoreContext,
  request: DevRequest,
): Promise<DevEnvironment> {
  const { flags, installables, words } = request;
  const found = openInstallables(context, flags, installables, words, SHELL_PLACES);
  const targets = found.all.flatMap((installable) => installable.targets());
  if (found.all.some(({ value }) => value !== undefined)) found.evaluation().host.flush();
  const [target] = targets;
  if (target === undefined || targets.length > 1)
    throw new DevshellError(
      "ENV_NOT_ONE_DERIVATION",
      `'${words[0] ?? "."}' needs to evaluate to a single derivation, but it evaluated to ${targets.length} derivations`,
    );
  const path = await environmentPath(context, target);
  if (request.profile !== undefined)
    addGeneration(context.store, bytesOfText(resolve(request.profile)), path);
  return { file: readEnvironmentFile(bytesOfText(context.store.realPath(path))), path, found };
}

async function environmentPath(
  context: StoreContext,
  target: ReturnType<typeof targetsOf>[number],
): Promise<StorePath> {
  if (target.kind === "built") return await buildEnvironment(context, target.drvPath);
  if (target.path.endsWith("-env")) return target.path;
  if (target.path.endsWith(".drv")) return await buildEnvironment(context, target.path);
  const { deriver } = context.store.pathInfo(target.path);
  if (deriver !== undefined) return await buildEnvironment(context, deriver);
  throw new DevshellError("CLI_NO_DERIVER", `'${textOfBytes(target.path)}' does not have a known deriver`);
}

/** The script that makes the environment, its outputs and the redirected paths being directories one can write. */
export function devScript(context: StoreContext, request: DevRequest, { file }: DevEnvironment): ByteString {
  const script = environmentScript(file);
  const rewrites = new Map<ByteString, ByteString>();
  const outputsDir = join(workingDirectory(), "outputs");
  for (const [name, place] of outputPlaces(file)) rewrites.set(place, bytesOfText(join(outputsDir, name)));
  for (const [word, directory] of request.redirects) {
    const targets = targetsOf(context, request.flags, request.installables, [word]);
    for (const [, path] of targets.flatMap((target) => builtPathsOf(context, target))) {
      if (script.includes(path)) rewrites.set(path, bytesOfText(resolve(directory)));
      else say(`warning: '${word}' (path '${path}') is not used by this build environment`);
    }
  }
  if (file.structured !== undefined) {
    const directory = mkdtempSync(join(tmpdir(), "nix-develop-"));
    for (const [kind, text] of Object.entries(file.structured)) {
      const place = join(directory, `.attrs.${kind}`);
      writeFileSync(place, text, "latin1");
      const variable = file.variables.get(`NIX_ATTRS_${kind.toUpperCase()}_FILE`);
      if (variable?.kind === "exported" || variable?.kind === "var")
        rewrites.set(variable.value, bytesOfText(place));
    }
  }
  return rewriteText(script, rewrites);
}
