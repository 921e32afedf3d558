import { DevshellError, textOfBytes, shownUrl } from "../../core/index.ts";
import { fetchBytes } from "../../io/index.ts";
import { accessHeaders } from "./accessTokens.ts";
import { downloadTree } from "./downloads.ts";
import { stringOf, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";

interface Repository {
  readonly host: string;
  readonly owner: string;
  readonly repo: string;
}

/** How a forge names the archive of a revision, and the revision of a ref. */
interface Forge {
  readonly defaultHost: string;
  /** @param hasToken where archives are, for those who may see what is not public */
  readonly archiveUrl: (repository: Repository, rev: string, hasToken: boolean) => string;
  readonly revisionOf: (repository: Repository, ref: string, ask: Ask) => Promise<string>;
}

interface Ask {
  readonly context: FetchContext;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

const MAX_ANSWER_BYTES = 64 << 20;
const REVISION = /^[0-9a-f]{40}$/;

const FORGES: Readonly<Record<string, Forge>> = {
  github: {
    defaultHost: "github.com",
    archiveUrl: ({ host, owner, repo }, rev, hasToken) => {
      if (host !== "github.com") return `https://${host}/api/v3/repos/${owner}/${repo}/tarball/${rev}`;
      return hasToken
        ? `https://api.${host}/repos/${owner}/${repo}/tarball/${rev}`
        : `https://${host}/${owner}/${repo}/archive/${rev}.tar.gz`;
    },
    revisionOf: async ({ host, owner, repo }, ref, ask) => {
      const api = host === "github.com" ? "https://api.github.com" : `https://${host}/api/v3`;
      const answer = await askJson(`${api}/repos/${owner}/${repo}/commits/${ref}`, ask);
      return revisionIn(answer, "sha");
    },
  },
  gitlab: {
    defaultHost: "gitlab.com",
    archiveUrl: ({ host, owner, repo }, rev) =>
      `https://${host}/api/v4/projects/${owner}%2F${repo}/repository/archive.tar.gz?sha=${rev}`,
    revisionOf: async ({ host, owner, repo }, ref, ask) => {
      const base = `https://${host}/api/v4/projects/${owner}%2F${repo}/repository`;
      const answer = await askJson(`${base}/commits?ref_name=${ref}`, ask);
      if (Array.isArray(answer) && answer.length === 0)
        throw new DevshellError(
          "FETCH_FORGE",
          "No commits returned by GitLab API -- does the git ref really exist?",
        );
      return revisionIn(Array.isArray(answer) ? answer[0] : answer, "id");
    },
  },
  sourcehut: {
    defaultHost: "git.sr.ht",
    archiveUrl: ({ host, owner, repo }, rev) => `https://${host}/${owner}/${repo}/archive/${rev}.tar.gz`,
    revisionOf: async ({ host, owner, repo }, ref, ask) => {
      const base = `https://${host}/${owner}/${repo}`;
      let wanted = [`refs/heads/${ref}`, `refs/tags/${ref}`];
      if (ref === "HEAD") {
        const head = /^ref: (\S+)/.exec(await askText(`${base}/HEAD`, ask));
        if (head === null)
          throw new DevshellError("FETCH_FORGE", `in '${base}', couldn't resolve HEAD ref '${ref}'`);
        wanted = [head[1]!];
      }
      const lines = (await askText(`${base}/info/refs`, ask)).split("\n");
      const found = lines.map((line) => line.split("\t")).find(([, name]) => wanted.includes(name ?? ""));
      if (found === undefined || !REVISION.test(found[0] ?? ""))
        throw new DevshellError("FETCH_FORGE", `in '${base}', couldn't find ref '${ref}'`);
      return found[0]!;
    },
  },
};

export function isForge(type: string): boolean {
  return Object.hasOwn(FORGES, type);
}

/** Where a forge serves the archive of a revision. */
export function archiveUrlOf(attributes: InputAttributes, hasToken = false): string {
  const { forge, repository } = forgeOf(attributes);
  return forge.archiveUrl(repository, stringOf(attributes, "rev") ?? "", hasToken);
}

/** Fetches a revision's archive from a forge. @throws {DevshellError} `FETCH_…` */
export async function fetchForgeTree(
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const { forge, repository } = forgeOf(attributes);
  const headers = accessHeaders(
    stringOf(attributes, "type") ?? "",
    `${repository.host}/${repository.owner}/${repository.repo}`,
    context.setting("access-tokens") ?? "",
    context.warn,
  );
  if (!attributes.has("rev")) {
    const ref = encodeURIComponent(textOfBytes(stringOf(attributes, "ref") ?? "HEAD")).replaceAll("%2F", "/");
    attributes.set("rev", await forge.revisionOf(repository, ref, { context, headers }));
  }
  attributes.delete("ref");
  const url = archiveUrlOf(attributes, headers !== undefined);
  const { storePath, lastModified } = await downloadTree(url, true, attributes, context, headers);
  if (!attributes.has("lastModified") && lastModified !== undefined)
    attributes.set("lastModified", lastModified);
  return { storePath, attributes, inputs: [] };
}

function forgeOf(attributes: InputAttributes): { forge: Forge; repository: Repository } {
  const forge = FORGES[stringOf(attributes, "type") ?? ""];
  if (forge === undefined) throw new Error("not a forge");
  const part = (name: string): string => {
    const text = textOfBytes(stringOf(attributes, name) ?? "");
    if (text === "." || text === ".." || text === "")
      throw new DevshellError("FETCH_FORGE", `Cannot fetch: '${name}' is '${text}'`);
    // GitLab's groups of groups come encoded already
    return encodeURIComponent(text).replaceAll("%25", "%").replaceAll("%7E", "~");
  };
  const host = textOfBytes(stringOf(attributes, "host") ?? forge.defaultHost);
  return { forge, repository: { host, owner: part("owner"), repo: part("repo") } };
}

async function askText(url: string, { context: { signal }, headers }: Ask): Promise<string> {
  return (await fetchBytes({ url, maxBytes: MAX_ANSWER_BYTES, signal, headers })).toString("utf8");
}

async function askJson(url: string, ask: Ask): Promise<unknown> {
  const text = await askText(url, ask);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new DevshellError("FETCH_FORGE", `Cannot read the answer of '${shownUrl(url)}': it is no JSON`, {
      cause,
    });
  }
}

function revisionIn(answer: unknown, key: string): string {
  const rev = typeof answer === "object" && answer !== null ? Reflect.get(answer, key) : undefined;
  if (typeof rev !== "string" || !REVISION.test(rev))
    throw new DevshellError("FETCH_FORGE", "Cannot find the revision in the forge's answer");
  return rev;
}
