import { existsSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { DevshellError, shownUrl } from "../../../core/index.ts";

/** The channels that a user follows: name → URL, in the order of the names. */
export type Channels = ReadonlyMap<string, string>;

const NAME = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]*$/;

/** Reads `~/.nix-channels`: a URL a line, and a name where it is not the URL's last part. */
export function readChannels(file: string): Channels {
  const channels = new Map<string, string>();
  if (!existsSync(file)) return channels;
  for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [first = "", given] = line.split(/[ \r]+/).filter((word) => word !== "");
    const url = first.replace(/\/*$/, "");
    const name = given ?? baseNameOf(url);
    if (!NAME.test(name))
      throw new DevshellError(
        "CLI_CHANNEL",
        `Cannot read "${file}", line ${index + 1}: invalid channel identifier '${name}'`,
      );
    channels.set(name, url);
  }
  return new Map([...channels].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Renamed into place; a link to a list that is kept elsewhere stays one. */
export function writeChannels(file: string, channels: Channels): void {
  const place = existsSync(file) ? realpathSync(file) : file;
  const temporary = `${place}.tmp-${process.pid}`;
  const lines = [...channels].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, url]) => `${url} ${name}\n`);
  writeFileSync(temporary, lines.join(""));
  renameSync(temporary, place);
}

/** @throws {DevshellError} `CLI_CHANNEL` */
export function checkChannel(url: string, name: string): void {
  if (!/^(file|http|https):\/\//.test(url))
    throw new DevshellError("CLI_CHANNEL", `invalid channel URL '${shownUrl(url)}'`);
  if (!NAME.test(name)) throw new DevshellError("CLI_CHANNEL", `invalid channel identifier '${name}'`);
}

/** What a channel is called that was given no name. */
export function nameOfChannel(url: string): string {
  return baseNameOf(url)
    .replace(/-unstable$/, "")
    .replace(/-stable$/, "");
}

export function baseNameOf(url: string): string {
  return url.replace(/\/$/, "").replace(/^.*\//s, "");
}
