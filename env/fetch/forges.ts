import { DevshellError, textOfBytes } from "../../core/index.ts";
import { fetchBytes } from "../../io/index.ts";
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
  readonly archiveUrl: (repository: Repository, rev: string) => string;
  readonly revisionOf: (repository: Repository, ref: string, context: FetchContext) => Promise<string>;
}

const MAX_ANSWER_BYTES = 64 << 20;
const REVISION = /^[0-9a-f]{40}$/;

const FORGES: Readonly<Record<string, Forge>> = {
  github: {
    defaultHost: "github.com",
    archiveUrl: ({ host, owner, repo }, rev) =>
      host === "github.com"
        ? `https://${host}/${owner}/${repo}/archive/${rev}.tar.gz`
        : `https://${host}/api/v3/repos/${owner}/${repo}/tarball/${rev}`,
    revisionOf: async ({ host, owner, repo }, ref, context) => {
      const api = host === "github.com" ? "https://api.github.com" : `https://${host}/api/v3`;
      const answer = await askJson(`${api}/repos/${owner}/${repo}/commits/${ref}`, context);
      return revisionIn(answer, "sha");
    },
  },
  gitlab: {
    defaultHost: "gitlab.com",
    archiveUrl: ({ host, owner, repo }, rev) =>
      `https://${host}/api/v4/projects/${owner}%2F${repo}/repository/archive.tar.gz?sha=${rev}`,
    revisionOf: async ({ host, owner, repo }, ref, context) => {
      const base = `https://${host}/api/v4/projects/${owner}%2F${repo}/repository`;
      const answer = await askJson(`${base}/commits?ref_name=${ref}`, context);
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
    revisionOf: async ({ host, owner, repo }, ref, context) => {
      const base = `https://${host}/${owner}/${repo}`;
      let wanted = [`refs/heads/${ref}`, `refs/tags/${ref}`];
      if (ref === "HEAD") {
        const head = /^ref: (\S+)/.exec(await askText(`${base}/HEAD`, context));
        if (head === null)
          throw new DevshellError("FETCH_FORGE", `in '${base}', couldn't resolve HEAD ref '${ref}'`);
        wanted = [head[1]!];
      }
      const lines = (await askText(`${base}/info/refs`, context)).split("\n");
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
export function archiveUrlOf(attributes: InputAttributes): string {
  const { forge, repository } = forgeOf(attributes);
  return forge.archiveUrl(repository, stringOf(attributes, "rev") ?? "");
}

/** Fetches a revision's archive from a forge. @throws {DevshellError} `FETCH_…` */
export async function fetchForgeTree(
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const { forge, repository } = forgeOf(attributes);
  if (!attributes.has("rev")) {
    const ref = encodeURIComponent(textOfBytes(stringOf(attributes, "ref") ?? "HEAD")).replaceAll("%2F", "/");
    attributes.set("rev", await forge.revisionOf(repository, ref, context));
  }
  attributes.delete("ref");
  const { storePath, lastModified } = await downloadTree(archiveUrlOf(attributes), true, attributes, context);
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

async function askText(url: string, { signal }: FetchContext): Promise<string> {
  return (await fetchBytes({ url, maxBytes: MAX_ANSWER_BYTES, signal })).toString("utf8");
}

async function askJson(url: string, context: FetchContext): Promise<unknown> {
  const text = await askText(url, context);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new DevshellError("FETCH_FORGE", `Cannot read the answer of '${url}': it is no JSON`, { cause });
  }
}

function revisionIn(answer: unknown, key: string): string {
  const rev = typeof answer === "object" && answer !== null ? Reflect.get(answer, key) : undefined;
  if (typeof rev !== "string" || !REVISION.test(rev))
    throw new DevshellError("FETCH_FORGE", "Cannot find the revision in the forge's answer");
  return rev;
}
