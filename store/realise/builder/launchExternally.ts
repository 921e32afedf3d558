import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesOfText, fsPath, textOfBytes, type ByteString } from "../../../core/index.ts";
import type { Derivation, OutputName, StorePath, StoreSettings } from "../../types.ts";
import type { BuilderInput } from "./buildEnvironment.ts";
import { launchDirectly, type BuilderLaunch } from "./builderProcess.ts";
import type { ExternalBuilder } from "./externalBuilders.ts";

/** Where such a program shows the builder its directory. */
export const EXTERNAL_BUILD_DIR = "/build";

export interface ExternalBuild {
  readonly settings: StoreSettings;
  readonly derivation: Derivation;
  readonly input: BuilderInput;
  readonly inputPaths: Iterable<StorePath>;
  /** As the builder is told. */
  readonly outputs: ReadonlyMap<OutputName, StorePath>;
  /** The build's own directory, and the one in it that the builder works in. */
  readonly topDir: ByteString;
  readonly workDir: ByteString;
}

/** Describes a build in a file and starts the program that reads it. */
export async function launchExternally(
  { program, args }: ExternalBuilder,
  { settings, derivation, input, inputPaths, outputs, topDir, workDir }: ExternalBuild,
): Promise<BuilderLaunch> {
  const { storeDir, realStoreDir = storeDir } = settings;
  const textsOf = (map: ReadonlyMap<ByteString, ByteString>): Record<string, string> =>
    Object.fromEntries([...map].map(([name, value]) => [textOfBytes(name), textOfBytes(value)]));
  const description = {
    version: 1,
    builder: textOfBytes(derivation.builder),
    args: input.args.map(textOfBytes),
    env: textsOf(input.env),
    topTmpDir: textOfBytes(topDir),
    tmpDir: textOfBytes(workDir),
    tmpDirInSandbox: EXTERNAL_BUILD_DIR,
    storeDir: textOfBytes(storeDir),
    realStoreDir: textOfBytes(realStoreDir),
    system: textOfBytes(derivation.system),
    inputPaths: [...inputPaths].map(textOfBytes),
    outputs: textsOf(outputs),
  };
  const file = join(topDir, "build.json");
  await writeFile(fsPath(file), JSON.stringify(description), { flag: "wx" });
  const inherited = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[bytesOfText(name), bytesOfText(value)] as const],
  );
  return launchDirectly({
    builder: bytesOfText(program),
    args: [...args.map(bytesOfText), file],
    env: new Map(inherited),
    hostBuildDir: workDir,
  });
}

/** Takes out the line by which such a program says that the builder begins. */
export function withoutMark(): (chunk: Buffer) => Buffer {
  let isPassed = false;
  return (chunk) => {
    const at = isPassed ? -1 : chunk.indexOf(2);
    if (at < 0) return chunk;
    isPassed = true;
    const end = chunk[at + 1] === 0x0a ? at + 2 : at + 1;
    return Buffer.concat([chunk.subarray(0, at), chunk.subarray(end)]);
  };
}
