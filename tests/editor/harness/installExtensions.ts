// installExtensions - puts extensions where the server finds them: a .vsix by the editor's own command, a folder by a link.
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const PROBE = resolve(import.meta.dirname, "../host/probe");

/**
 * Several folders at once work this way, where the payload of a window takes one `extensionDevelopmentPath` only.
 * @param command code-server and its options up to the folders
 * @returns what the editor wrote
 */
export async function installExtensions(
  extensions: readonly string[],
  target: {
    readonly extensionsDir: string;
    readonly node: string;
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const vsixFiles = extensions.filter((path) => path.endsWith(".vsix"));
  // Links first: the first start makes the list of extensions from the folder, later ones read the list.
  for (const folder of [PROBE, ...extensions.filter((path) => !path.endsWith(".vsix"))]) {
    const { publisher, name, version } = readManifest(folder);
    symlinkSync(folder, join(target.extensionsDir, `${publisher}.${name}-${version}`));
  }
  if (vsixFiles.length === 0) return "";
  const install = vsixFiles.flatMap((file) => ["--install-extension", file]);
  const { stdout, stderr } = await promisify(execFile)(target.node, [...target.command, ...install], {
    env: target.env,
  });
  return stdout + stderr;
}

function readManifest(folder: string): {
  readonly publisher: string;
  readonly name: string;
  readonly version: string;
} {
  const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const field = (key: string): string => {
    const value: unknown =
      typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, key) : undefined;
    if (typeof value !== "string")
      throw new Error(`Cannot load the extension ${folder}: its package.json has no "${key}"`);
    return value;
  };
  return { publisher: field("publisher"), name: field("name"), version: field("version") };
}
