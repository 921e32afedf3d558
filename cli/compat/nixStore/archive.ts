import { resolve } from "node:path";
import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { dumpNar, resolveStoreSettings, restoreNar } from "../../../store/index.ts";
import { usageError, type CommonFlags } from "../commandLine.ts";
import { standardInput, writeStandardOutput } from "../output.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --dump`: a path as a NAR; needs no store. */
export function dump(operation: StoreOperation): number {
  const path = bytesOfText(resolve(onlyWord(operation)));
  const isCaseHacked = usesCaseHack(operation.flags);
  dumpNar(path, writeStandardOutput, { isCaseHacked });
  return 0;
}

/** `nix-store --restore`: a NAR as a path; needs no store. */
export async function restore(operation: StoreOperation): Promise<number> {
  const destination = onlyWord(operation);
  const [name = ""] = /[^/]*$/.exec(destination) ?? [];
  if (destination === "") throw new DevshellError("CLI_RESTORE", "restore destination path is empty");
  if (name === "." || name === "..")
    throw new DevshellError(
      "CLI_RESTORE",
      `restore destination '${destination}' ends in '${name}', which is not a valid filename`,
      { hint: "name what is to be made" },
    );
  const isCaseHacked = usesCaseHack(operation.flags);
  await restoreNar(bytesOfText(resolve(destination)), standardInput(), { isCaseHacked });
  return 0;
}

/** Whether names that differ only by case are given others (`use-case-hack`). */
export function usesCaseHack({ settings }: CommonFlags): boolean {
  const { raw } = resolveStoreSettings(process.env, { overrides: settings }).config;
  return raw.get("use-case-hack") === "true";
}

function onlyWord(operation: StoreOperation): string {
  switchesOf(operation, []);
  const [path, ...more] = operation.words;
  if (path === undefined || more.length > 0) throw usageError("nix-store", "only one argument allowed");
  return path;
}
