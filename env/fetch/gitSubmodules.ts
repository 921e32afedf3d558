import { DevshellError, bytesOfText, type ByteString, shownUrl } from "../../core/index.ts";
import { runGit, tryGit } from "./runGit.ts";

export interface Submodule {
  readonly path: ByteString;
  /** Resolved against the repository's own. */
  readonly url: ByteString;
  readonly rev: string;
  readonly branch: ByteString | undefined;
}

/** The submodules that a revision both describes in `.gitmodules` and holds. */
export async function submodulesOf(
  directory: string,
  rev: string,
  /** What their relative addresses are resolved against, if not what the repository's own `origin` says. */
  from: string | undefined,
  signal: AbortSignal,
): Promise<Submodule[]> {
  const config = await tryGit(["-C", directory, "config", "--blob", `${rev}:.gitmodules`, "--list", "-z"], {
    signal,
  });
  const listing = await runGit(["-C", directory, "ls-tree", "-r", "-z", "--full-tree", rev], { signal });
  const links = new Map<ByteString, string>();
  for (const line of listing.split("\0")) {
    const match = /^160000 commit ([0-9a-f]+)\t(.+)$/s.exec(line);
    if (match !== null) links.set(match[2]!, match[1]!);
  }
  if (links.size === 0 || config === undefined) return [];
  const origin = from === undefined ? await originOf(directory, signal) : bytesOfText(from);
  const submodules: Submodule[] = [];
  for (const { path, url, branch } of parseModules(config)) {
    const linked = links.get(path);
    if (linked !== undefined) submodules.push({ path, url: resolveUrl(origin, url), rev: linked, branch });
  }
  return submodules;
}

/** Paths of the submodules that a file `.gitmodules` of a work tree names. */
export async function modulePaths(directory: string, signal: AbortSignal): Promise<ByteString[]> {
  const config = await tryGit(["-C", directory, "config", "--file", ".gitmodules", "--list", "-z"], {
    signal,
  });
  return parseModules(config ?? "").map(({ path }) => path);
}

interface Module {
  readonly path: ByteString;
  readonly url: ByteString;
  readonly branch: ByteString | undefined;
}

function parseModules(config: ByteString): Module[] {
  const modules = new Map<string, Map<string, ByteString>>();
  for (const line of config.split("\0")) {
    const match = /^submodule\.(.*)\.(path|url|branch)\n(.*)$/s.exec(line);
    if (match === null) continue;
    const [, name = "", key = "", value = ""] = match;
    const known = modules.get(name) ?? new Map<string, ByteString>();
    modules.set(name, known.set(key, value));
  }
  return [...modules.values()].flatMap((module) => {
    const path = module.get("path");
    const url = module.get("url");
    return path === undefined || url === undefined ? [] : [{ path, url, branch: module.get("branch") }];
  });
}

async function originOf(directory: string, signal: AbortSignal): Promise<ByteString> {
  const url = await tryGit(["-C", directory, "config", "--get", "remote.origin.url"], { signal });
  return (url ?? bytesOfText(directory)).replace(/\n$/, "");
}

/** `./x` and `../x` mean places beside the repository's own. */
export function resolveUrl(origin: ByteString, url: ByteString): ByteString {
  if (!/^\.\.?(?:\/|$)/.test(url)) return url;
  let base = origin.replace(/\/+$/, "");
  let separator = "/";
  let rest = url;
  for (;;) {
    if (rest === ".." || rest.startsWith("../")) {
      const at = Math.max(base.lastIndexOf("/"), base.lastIndexOf(":"));
      if (at < 0 || separator === ":")
        throw new DevshellError(
          "FETCH_GIT",
          `Cannot find submodule '${shownUrl(url)}' beside '${shownUrl(origin)}'`,
        );
      separator = base.charAt(at); // `host:path` keeps its colon
      base = base.slice(0, at);
      rest = rest.slice(3);
    } else if (rest === "." || rest.startsWith("./")) rest = rest.slice(2);
    else return rest === "" ? base : `${base}${separator}${rest}`;
  }
}
