import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import { findProgram, isProgram } from "../../io/index.ts";
import type { Derivation, DerivedPath, StorePath } from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import { collectionOf } from "../spec/specExpression.ts";
import type { StoreContext } from "../storeContext.ts";
import type { BuildEnvironment, InstantiatedSpec } from "../types.ts";
import { assembleEnvironment } from "./assembleEnvironment.ts";
import { captureSetup } from "./captureSetup.ts";
import { chooseShell } from "./chooseShell.ts";
import { derivationVariables, inputPathsOf } from "./derivationVariables.ts";

/**
 * Makes valid what an instantiated spec needs, runs its setup once, and returns the environment it leaves.
 * @throws {DevshellError} what realising throws, `ENV_SETUP_FAILED`, `ENV_NO_SHELL`
 */
export async function realiseEnvironment(
  context: StoreContext,
  instantiated: InstantiatedSpec,
): Promise<BuildEnvironment> {
  const { store } = context;
  const { spec, request, drvPath, shell: shellDrv } = instantiated;
  const derivation = store.readDerivation(drvPath);
  context.emit({ kind: "stage", stage: "realise" });
  await context.realise(targetsOf(derivation, request.exclude ?? []));
  const interactive = shellDrv === undefined ? undefined : await realiseShell(context, shellDrv);

  context.emit({ kind: "stage", stage: "setup" });
  const filesDir = join(
    cacheDirectory(),
    "files",
    createHash("sha256").update(drvPath).digest("hex").slice(0, 32),
  );
  // As `nix develop` has it; elsewhere `$out` is the store path, as nix-shell has it.
  const outputsDir =
    collectionOf(spec) === "debian" || spec.kind === "flake"
      ? bytesOfText(join(request.directory, "outputs"))
      : undefined;
  const variables = derivationVariables(store, derivation, { filesDir, outputsDir });
  const isPure = request.pure ?? (spec.kind === "data" && spec.data.pure);
  const hostPath = process.env["PATH"] ?? "";
  const physicalPath = (path: string): string => store.realPath(path);
  const setupEnvironment = new Map(variables.environment);
  setupEnvironment.set("IN_NIX_SHELL", isPure ? "pure" : "impure");
  const captured = await captureSetup(
    {
      bash: setupShell(derivation, physicalPath),
      environment: setupEnvironment,
      attrsFile: variables.attrsFile,
    },
    { signal: context.signal },
  );
  const own = captured.declarations.find(({ name }) => name === "SHELL")?.variable;
  const shell = chooseShell({
    given: process.env["NIX_BUILD_SHELL"],
    own: own?.kind === "exported" && own.value.startsWith(`${store.storeDir}/`) ? own.value : undefined,
    interactive: interactive === undefined ? undefined : `${interactive}/bin/bash`,
    hostPath,
    physicalPath,
  });
  const environment = assembleEnvironment({
    spec,
    drvPath,
    name: derivation.name,
    storeDir: store.storeDir,
    physicalPath,
    derivationVariables: variables.given,
    captured,
    shell,
    isPure,
    keep: [...(request.keep ?? []), ...(spec.kind === "data" ? spec.data.keep : [])],
    roots: rootsOf(context, drvPath, derivation, interactive),
  });
  context.emit({ kind: "stage", stage: "done" });
  return environment;
}

/** A shell with line editing is worth a download, but no failure. */
async function realiseShell(
  context: StoreContext,
  { drvPath, output }: NonNullable<InstantiatedSpec["shell"]>,
): Promise<StorePath | undefined> {
  const report = await context.tryRealise([{ kind: "built", drvPath, outputs: [output] }]);
  const [failure] = report.failures;
  if (failure === undefined) return report.results[0]?.outputs.get(output);
  context.message(
    "warning",
    `nixpkgs' interactive Bash is not to be had, the machine's is used: ${failure.message}`,
  );
  return undefined;
}

/** What a derivation's build would need: outputs of inputs, but for excluded ones, and sources. */
export function targetsOf(derivation: Derivation, exclude: readonly string[]): DerivedPath[] {
  const patterns = exclude.map((text) => {
    try {
      return new RegExp(text);
    } catch (error) {
      throw new DevshellError(
        "ENV_EXCLUDE",
        `Cannot use --exclude "${text}": it is not a regular expression`,
        {
          cause: error,
        },
      );
    }
  });
  const targets: DerivedPath[] = [];
  for (const [drvPath, outputs] of derivation.inputDrvs)
    if (!patterns.some((pattern) => pattern.test(drvPath))) targets.push({ kind: "built", drvPath, outputs });
  for (const path of derivation.inputSrcs) targets.push({ kind: "opaque", path });
  return targets;
}

/** The setup runs in the Bash it was written for, the derivation's builder, else in the host's. */
function setupShell(derivation: Derivation, physicalPath: (path: string) => string): string {
  const builder = physicalPath(derivation.builder);
  if (basename(builder) === "bash" && isProgram(builder)) return builder;
  const host = findProgram("bash");
  if (host !== undefined) return host;
  throw new DevshellError("ENV_NO_SHELL", "Cannot find a Bash to run the setup in");
}

function rootsOf(
  context: StoreContext,
  drvPath: StorePath,
  derivation: Derivation,
  interactive: StorePath | undefined,
): StorePath[] {
  const paths = [drvPath, ...inputPathsOf(context.store, derivation)];
  if (interactive !== undefined) paths.push(interactive);
  return [...new Set(paths)];
}
