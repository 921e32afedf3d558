import { lstatSync, mkdtempSync, readlinkSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevshellError, bytesOfText, shownUrl } from "../../../core/index.ts";
import { prefetchFile, type StoreContext } from "../../../env/index.ts";
import { followRedirects } from "../../../io/index.ts";
import { makeDirectories, replaceSymlink, type StorePath } from "../../../store/index.ts";
import { runNixEnv } from "../nixEnv/index.ts";
import { say } from "../output.ts";
import { baseNameOf, type Channels } from "./channelList.ts";

/** The derivation that Nix makes of a channel's tarball, attribute for attribute. */
const UNPACK = `{ name, channelName, src }:
derivation {
  builder = "builtin:unpack-channel"; system = "builtin";
  inherit name channelName src;
  preferLocalBuild = true;
}
`;

/** Downloads channels, and makes what they hold the channels profile's newest generation. @returns the exit status */
export async function updateChannels(
  open: () => StoreContext,
  channels: Channels,
  { names, profile }: { readonly names: ReadonlySet<string>; readonly profile: string },
): Promise<number> {
  const expressions: string[] = [];
  {
    using context = open();
    for (const [name, url] of channels)
      expressions.push(
        names.size === 0 || names.has(name)
          ? newContent(name, url, await downloadChannel(context, url))
          : oldContent(name, url, profile),
      );
  }
  say(`unpacking ${expressions.length} channels...`);
  const scratch = mkdtempSync(join(tmpdir(), "devshell-channels-"));
  try {
    const file = join(scratch, "unpack-channel.nix");
    writeFileSync(file, UNPACK);
    return await runNixEnv([
      "--profile",
      profile,
      "--file",
      file,
      "--install",
      "--remove-all",
      "--from-expression",
      ...expressions,
      "--quiet",
    ]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Where `nix-env -qa` and `<…>` look. */
export function linkChannels(directory: string, profile: string): void {
  // An old link to one expression.
  if (lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true) unlinkSync(directory);
  makeDirectories(bytesOfText(directory));
  replaceSymlink(bytesOfText(join(directory, "channels")), bytesOfText(profile));
}

function newContent(name: string, url: string, tarball: StorePath): string {
  const versioned = versionedName(name, url);
  return `f: f { name = "${versioned}"; channelName = "${name}"; src = builtins.storePath "${tarball}";  }`;
}

/** What an earlier update brought. */
function oldContent(name: string, url: string, profile: string): string {
  let path: string;
  try {
    path = dirname(readlinkSync(join(profile, name)));
  } catch (cause) {
    throw new DevshellError("CLI_CHANNEL", `Cannot keep channel '${name}' as it is: it was never updated`, {
      cause,
      hint: `update it, too: \`nix-channel --update ${name}\``,
    });
  }
  return `f: rec { name = "${versionedName(name, url)}"; type = "derivation"; outputs = ["out"]; system = "builtin"; outPath = builtins.storePath "${path}"; out = { inherit outPath; };}`;
}

/** `nixos-24.05`: a number at the end of the URL is told with the name. */
function versionedName(name: string, url: string): string {
  const version = /-\d.*$/.exec(baseNameOf(url))?.[0] ?? "";
  if (!/^[0-9A-Za-z+\-._?=]*$/.test(version))
    throw new DevshellError(
      "CLI_CHANNEL",
      `invalid version '${version}' at the end of channel URL '${shownUrl(url)}'`,
    );
  return name + version;
}

/** A tarball itself, or the directory in which `nixexprs.tar.xz` lies. */
async function downloadChannel({ store }: StoreContext, url: string): Promise<StorePath> {
  const download = async (file: string): Promise<StorePath> =>
    (await prefetchFile(store, { url: file, name: baseNameOf(file), algorithm: "sha256" })).storePath;
  if (/\.tar\.(gz|bz2|xz)$/.test(url)) return await download(url);
  // What a name leads to may change between two downloads.
  const place = isDirectory(url) ? url : await followRedirects({ url });
  try {
    return await download(`${place}/nixexprs.tar.xz`);
  } catch (error) {
    if (!(error instanceof DevshellError) || !error.code.startsWith("FETCH_")) throw error;
    return await download(`${place}/nixexprs.tar.bz2`);
  }
}

function isDirectory(url: string): boolean {
  if (!url.startsWith("file:")) return false;
  return statSync(fileURLToPath(url), { throwIfNoEntry: false })?.isDirectory() === true;
}
