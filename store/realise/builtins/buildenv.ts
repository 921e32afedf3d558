import { mkdir, symlink } from "node:fs/promises";
import { DevshellError, fsPath } from "../../../core/index.ts";
import { derivationAttribute } from "../derivationOptions.ts";
import type { BuiltinBuilder } from "../../types.ts";
import { checkReadable } from "./checkReadable.ts";
import { linkPackages, type LinkedPackage } from "./linkPackages.ts";

/** `builtin:buildenv`: a user environment, one tree of links to the files of several packages. */
export const buildenv: BuiltinBuilder = async (context) => {
  const { derivation, outputs, log, signal } = context;
  const attribute = (name: string): string => {
    const value = derivationAttribute(derivation, name);
    if (value === undefined) throw new DevshellError("BUILTIN_BUILDENV", `attribute '${name}' missing`);
    return value;
  };
  const out = outputs.get("out") ?? "";
  await mkdir(fsPath(out), { recursive: true });
  await linkPackages(parsePackages(attribute("derivations")), out, {
    onWarn: log,
    checkRead: (path) => checkReadable(context, path),
    signal,
  });
  await symlink(fsPath(attribute("manifest")), fsPath(`${out}/manifest.nix`));
};

/** For each package: `active priority outputCount path…`, all separated by blanks. */
function parsePackages(text: string): readonly LinkedPackage[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const packages: LinkedPackage[] = [];
  for (let at = 0; at < words.length;) {
    const [active, priority, count] = words.slice(at, at + 3).map(String);
    const outputCount = Number(count);
    if (!Number.isSafeInteger(outputCount) || !Number.isSafeInteger(Number(priority)))
      throw new DevshellError("BUILTIN_BUILDENV", `Cannot read 'derivations' at word ${at}`);
    at += 3;
    for (const path of words.slice(at, at + outputCount))
      packages.push({ path, isActive: active !== "false", priority: Number(priority) });
    at += outputCount;
  }
  return packages;
}
