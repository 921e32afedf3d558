import { availableParallelism } from "node:os";
import {
  DevshellError,
  bytesOfText,
  formatHash,
  hashBytes,
  textOfBytes,
  type ByteString,
} from "../../../core/index.ts";
import { isFixedOutput } from "../../format/derivation.ts";
import { hashPlaceholder } from "../../format/makeDerivation.ts";
import { compareBytes, isDerivationPath } from "../../format/storePath.ts";
import type { Derivation, OutputName, StorePath, StoreSettings, ValidPathInfo } from "../../types.ts";
import { hasNetwork } from "../buildRequest.ts";
import type { DerivationOptions, Json } from "../derivationOptions.ts";
import { printJson, shellOfStructuredAttrs } from "./structuredAttrs.ts";

/** What the builder is started with. */
export interface BuilderInput {
  readonly env: ReadonlyMap<ByteString, ByteString>;
  readonly args: readonly ByteString[];
  /** Files to write into the build directory. */
  readonly files: ReadonlyMap<ByteString, ByteString>;
}

export interface BuilderInputRequest {
  readonly derivation: Derivation;
  readonly options: DerivationOptions;
  readonly settings: StoreSettings;
  /** The build directory as the builder sees it. */
  readonly buildDir: string;
  /** Where the builder is to write each output, as it sees it. */
  readonly outputs: ReadonlyMap<OutputName, string>;
  /** The inputs' closure, in byte order. */
  readonly inputPaths: ReadonlySet<StorePath>;
  readonly pathInfo: (path: StorePath) => ValidPathInfo;
  /** The outputs of a derivation that is among the inputs. */
  readonly outputsOf: (drvPath: StorePath) => Iterable<StorePath | undefined>;
  /** Where the store is served to the builder. */
  readonly storeAddress?: string | undefined;
  /** The final outputs' paths, where they differ from `outputs`: their hash parts are replaced. */
  readonly rewrites: ReadonlyMap<ByteString, ByteString>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
}

/**
 * Computes a builder's environment, arguments and files, as Nix's builder starts them.
 * @throws {DevshellError} `BUILD_EXPORT_REFERENCES` where a graph is asked for that is no input
 */
export function builderInput(request: BuilderInputRequest): BuilderInput {
  const { derivation, options, settings, buildDir } = request;
  const rewrite = rewriter(request);
  const env = new Map<ByteString, ByteString>();
  const files = new Map<ByteString, ByteString>();
  env.set("PATH", "/path-not-set");
  env.set("HOME", "/homeless-shelter");
  env.set("NIX_STORE", settings.storeDir);
  env.set(
    "NIX_BUILD_CORES",
    String(settings.config.cores > 0 ? settings.config.cores : availableParallelism()),
  );

  if (options.structured !== undefined) {
    const json = structuredInput(options.structured, request);
    env.set("NIX_ATTRS_SH_FILE", `${buildDir}/.attrs.sh`);
    files.set(".attrs.sh", rewrite(shellOfStructuredAttrs(json)));
    env.set("NIX_ATTRS_JSON_FILE", `${buildDir}/.attrs.json`);
    files.set(".attrs.json", rewrite(Buffer.from(printJson(json), "utf8").toString("latin1")));
  } else {
    for (const [name, value] of derivation.env) {
      if (!options.passAsFile.has(name)) {
        env.set(name, rewrite(value));
        continue;
      }
      const fileName = `.attr-${formatHash(hashBytes("sha256", name), "nix32")}`;
      env.set(`${name}Path`, `${buildDir}/${fileName}`);
      files.set(fileName, rewrite(value));
    }
    for (const [fileName, roots] of options.exportReferencesGraph)
      files.set(fileName, validityRegistration(exportedClosure(roots, request), request));
  }

  env.set("NIX_BUILD_TOP", buildDir);
  for (const name of ["TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"]) env.set(name, buildDir);
  if (isFixedOutput(derivation)) env.set("NIX_OUTPUT_CHECKED", "1");
  if (hasNetwork(derivation)) {
    const configured = impureEnvironment(settings);
    for (const name of options.impureEnvVars)
      env.set(name, bytesOfText(configured.get(name) ?? request.hostEnv[name] ?? ""));
  }
  if (request.storeAddress !== undefined) env.set("NIX_REMOTE", request.storeAddress);
  env.set("NIX_LOG_FD", "2");
  env.set("TERM", "xterm-256color");
  return { env, args: derivation.args.map(rewrite), files };
}

/** The option `impure-env`: `NAME=value` words that come before the caller's variables. */
function impureEnvironment({ config }: StoreSettings): ReadonlyMap<string, string> {
  const words = (config.raw.get("impure-env") ?? "").split(/\s+/).filter((word) => word.includes("="));
  return new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
}

function rewriter({ outputs, rewrites }: BuilderInputRequest): (text: ByteString) => ByteString {
  const pairs = [...[...outputs].map(([name, path]) => [hashPlaceholder(name), path] as const), ...rewrites];
  return (text) => pairs.reduce((result, [from, to]) => result.replaceAll(from, () => to), text);
}

function structuredInput(
  structured: { readonly [key: string]: Json },
  request: BuilderInputRequest,
): { readonly [key: string]: Json } {
  const outputs = Object.fromEntries(
    [...request.outputs.keys()].map((name) => [name, textOfBytes(hashPlaceholder(name))]),
  );
  const graphs = [...request.options.exportReferencesGraph].map(([key, roots]) => [
    textOfBytes(key),
    exportedClosure(roots, request).map((path) => describePath(path, request)),
  ]);
  return { ...structured, outputs, ...(Object.fromEntries(graphs) as { readonly [key: string]: Json }) };
}

function describePath(path: StorePath, { pathInfo }: BuilderInputRequest): Json {
  const info = pathInfo(path);
  let closureSize = 0;
  for (const member of closureOf([path], pathInfo)) closureSize += pathInfo(member).narSizeBytes;
  return {
    ...(info.contentAddress !== undefined && { ca: info.contentAddress }),
    closureSize: BigInt(closureSize),
    narHash: `sha256:${formatHash(info.narHash, "nix32")}`,
    narSize: BigInt(info.narSizeBytes),
    path,
    references: [...info.references].sort(compareBytes),
    valid: true,
  };
}

function exportedClosure(roots: readonly ByteString[], request: BuilderInputRequest): readonly StorePath[] {
  const { storeDir } = request.settings;
  const wanted = roots.map((root) => {
    // `<store path>/below/it` means the store path.
    const end = root.indexOf("/", storeDir.length + 1);
    const path = (end < 0 ? root : root.slice(0, end)) as StorePath;
    if (!request.inputPaths.has(path))
      throw new DevshellError(
        "BUILD_EXPORT_REFERENCES",
        `cannot export references of path '${path}' because it is not in the input closure of the derivation`,
      );
    return path;
  });
  const closure = closureOf(wanted, request.pathInfo);
  // Of derivations their outputs, too: so all that a build needs can be had.
  const outputs = [...closure].filter(isDerivationPath).flatMap((drvPath) =>
    [...request.outputsOf(drvPath)].map((output) => {
      if (output !== undefined) return output;
      throw new DevshellError(
        "BUILD_EXPORT_REFERENCES",
        `cannot export references of '${drvPath}' because not all its outputs are built`,
      );
    }),
  );
  return [...closureOf([...closure, ...outputs], request.pathInfo)].sort(compareBytes);
}

function closureOf(
  roots: readonly StorePath[],
  pathInfo: (path: StorePath) => ValidPathInfo,
): ReadonlySet<StorePath> {
  const closure = new Set<StorePath>(roots);
  for (const path of closure) for (const reference of pathInfo(path).references) closure.add(reference);
  return closure;
}

function validityRegistration(paths: readonly StorePath[], { pathInfo }: BuilderInputRequest): ByteString {
  return paths
    .map((path) => {
      const references = [...pathInfo(path).references].sort(compareBytes);
      return `${[path, "", String(references.length), ...references].join("\n")}\n`;
    })
    .join("");
}
