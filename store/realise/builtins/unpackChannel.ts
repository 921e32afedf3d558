import { execFile } from "node:child_process";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DevshellError, fsPath } from "../../../core/index.ts";
import { derivationAttribute } from "../derivationOptions.ts";
import { checkReadable } from "./checkReadable.ts";
import { processText } from "../builder/builderProcess.ts";
import { findProgram } from "../../../io/index.ts";
import type { BuiltinBuilder } from "../../types.ts";

/** `builtin:unpack-channel`: unpacks the tarball `src`, which holds one directory, as `channelName`. */
export const unpackChannel: BuiltinBuilder = async (context) => {
  const { derivation, outputs, signal } = context;
  const attribute = (name: string): string => {
    const value = derivationAttribute(derivation, name);
    if (value === undefined) throw new DevshellError("BUILTIN_CHANNEL", `attribute '${name}' missing`);
    return value;
  };
  const out = outputs.get("out") ?? "";
  const channelName = attribute("channelName");
  const src = attribute("src");
  if (channelName === "" || channelName === "." || channelName === ".." || channelName.includes("/"))
    throw new DevshellError(
      "BUILTIN_CHANNEL",
      `channelName is not allowed to contain filesystem separators, got "${channelName}"`,
    );
  await checkReadable(context, src);
  const tar = findProgram("tar");
  if (tar === undefined)
    throw new DevshellError("BUILTIN_CHANNEL", 'Cannot unpack a channel: the program "tar" is not installed');
  await mkdir(fsPath(out), { recursive: true });
  // tar refuses names that lead out of the directory; owners and special modes are not taken over.
  const flags = [
    "--extract",
    "--no-same-owner",
    "--no-same-permissions",
    "--delay-directory-restore",
    "--force-local",
  ];
  await promisify(execFile)(tar, [...flags, "--file", processText(src), "--directory", processText(out)], {
    signal,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
  }).catch((cause: unknown) => {
    signal.throwIfAborted();
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause);
    throw new DevshellError("BUILTIN_CHANNEL", `Cannot unpack '${src}': ${said}`, { cause });
  });
  const [first, ...others] = await readdir(fsPath(out), "latin1");
  if (first === undefined) throw new DevshellError("BUILTIN_CHANNEL", `channel tarball '${src}' is empty`);
  if (others.length > 0)
    throw new DevshellError("BUILTIN_CHANNEL", `channel tarball '${src}' contains more than one file`);
  await rename(fsPath(join(out, first)), fsPath(join(out, channelName)));
};
