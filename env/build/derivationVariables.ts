import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ByteString } from "../../core/index.ts";
import {
  builderInput,
  downstreamPlaceholder,
  knownOutputPaths,
  readDerivationOptions,
  type Derivation,
  type Store,
  type OutputName,
  type StorePath,
} from "../../store/index.ts";

export interface DerivationVariables {
  /** Everything the setup is started with. */
  readonly environment: ReadonlyMap<ByteString, ByteString>;
  /** What of it the derivation gives itself. */
  readonly given: ReadonlyMap<ByteString, ByteString>;
  /** `.attrs.sh`, with structured attributes. */
  readonly attrsFile: string | undefined;
}

/** Variables of a build that a shell has not: it must not stop what a developer does by hand. */
const BUILD_ONLY = ["NIX_LOG_FD", "NIX_OUTPUT_CHECKED", "PWD", "TERM", "NIX_ENFORCE_PURITY"];

/**
 * A derivation's variables as its builder would get them, for a shell.
 * @param filesDir where files (`passAsFile`, structured attributes) are written; it outlives the computation
 * @param outputsDir what stands for the outputs' directory in place of the store, which phases run by hand must not fill
 */
export function derivationVariables(
  store: Store,
  derivation: Derivation,
  { filesDir, outputsDir }: { readonly filesDir: string; readonly outputsDir?: ByteString | undefined },
): DerivationVariables {
  const options = readDerivationOptions(derivation);
  const outputs = new Map<OutputName, string>();
  const rewrites = placeholderRewrites(store, derivation);
  for (const [name, path] of knownOutputPaths(derivation)) {
    const place = outputsDir === undefined ? path : `${outputsDir}/${name}`;
    outputs.set(name, place ?? `${filesDir}/outputs/${name}`);
    if (path !== undefined && place !== undefined && path !== place) rewrites.set(path, place);
  }
  const input = builderInput({
    derivation,
    options,
    settings: store.settings,
    buildDir: filesDir,
    outputs,
    inputPaths: new Set(store.closureOf(inputPathsOf(store, derivation))),
    pathInfo: (path) => store.pathInfo(path),
    outputsOf: (path) => store.queryDerivationOutputs(path).values(),
    rewrites,
    hostEnv: {},
  });
  if (input.files.size > 0) {
    mkdirSync(filesDir, { recursive: true, mode: 0o700 });
    for (const [name, text] of input.files) writeFileSync(join(filesDir, name), text, "latin1");
  }
  const environment = new Map(input.env);
  for (const name of BUILD_ONLY) if (!derivation.env.has(name)) environment.delete(name);
  const given = new Map([...environment].filter(([name]) => derivation.env.has(name)));
  const attrsFile = environment.get("NIX_ATTRS_SH_FILE");
  return { environment, given, attrsFile: options.structured === undefined ? undefined : attrsFile };
}

/** The valid paths that a derivation refers to: sources, and the named outputs of its inputs. */
export function inputPathsOf(store: Store, derivation: Derivation): StorePath[] {
  const paths = derivation.inputSrcs.filter((path) => store.isValidPath(path));
  for (const [drvPath, names] of derivation.inputDrvs) {
    if (!store.isValidPath(drvPath)) continue;
    const outputs = store.queryDerivationOutputs(drvPath);
    for (const name of names) {
      const path = outputs.get(name);
      if (path !== undefined && store.isValidPath(path)) paths.push(path);
    }
  }
  return paths;
}

/** What stands in variables for outputs that had no path before they were built → their paths now. */
function placeholderRewrites(store: Store, derivation: Derivation): Map<ByteString, ByteString> {
  const rewrites = new Map<ByteString, ByteString>();
  for (const [drvPath, names] of derivation.inputDrvs) {
    const known = knownOutputPaths(store.readDerivation(drvPath));
    for (const name of names) {
      if (known.get(name) !== undefined) continue;
      const path = store.queryDerivationOutputs(drvPath).get(name);
      if (path !== undefined) rewrites.set(downstreamPlaceholder(drvPath, name), path);
    }
  }
  return rewrites;
}
