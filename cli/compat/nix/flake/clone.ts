import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../../core/index.ts";
import { gitAddress } from "../../../../env/index.ts";
import { findProgram } from "../../../../io/index.ts";
import { narChunks, parseStorePath, restoreNar } from "../../../../store/index.ts";
import { fetchReference, type FlakeReference } from "../../../../lang/index.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";
import { resolveFully } from "./prefetch.ts";

/** `nix flake clone --dest DIRECTORY`. */
export async function clone(argv: readonly string[]): Promise<number> {
  let target: string | undefined;
  const request = parseFlakeRequest("nix flake clone", argv, (word, next) => {
    if (word !== "--dest" && word !== "-f") return false;
    target = next();
    return true;
  });
  if (target === undefined) throw new DevshellError("CLI_USAGE", "missing flag '--dest'");
  using command = new FlakeCommand(request);
  const reference = resolveFully(command);
  const url = cloneUrl(reference);
  if (url === undefined) await copyTree(command, reference, resolve(target));
  else cloneRepository(reference, url, resolve(target));
  return 0;
}

const FORGES: Readonly<Record<string, string>> = {
  github: "github.com",
  gitlab: "gitlab.com",
  sourcehut: "git.sr.ht",
};

/** Where Git clones a reference from; `undefined` for what is no repository. */
function cloneUrl({ attributes }: FlakeReference): string | undefined {
  const text = (name: string): string => textOfBytes(String(attributes.get(name) ?? ""));
  const type = text("type");
  if (type === "git") return text("url");
  const host = FORGES[type];
  if (host === undefined) return undefined;
  const suffix = type === "sourcehut" ? "" : ".git";
  return `https://${text("host") || host}/${text("owner")}/${text("repo")}${suffix}`;
}

function cloneRepository({ attributes }: FlakeReference, url: string, target: string): void {
  const program = findProgram("git");
  if (program === undefined)
    throw new DevshellError("FETCH_NO_GIT", "Cannot clone a Git repository: there is no program 'git'");
  if (attributes.has("rev"))
    throw new DevshellError("FLAKE_CLONE", "cloning a specific revision is not implemented");
  const ref = attributes.get("ref");
  const branch = typeof ref === "string" ? ["--branch", textOfBytes(ref).replace(/^refs\/heads\//, "")] : [];
  const address = gitAddress(url);
  const result = spawnSync(program, ["clone", ...branch, "--", address.url, target], {
    stdio: "inherit",
    env: { ...process.env, ...address.env },
  });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0)
    throw new DevshellError("FLAKE_CLONE", `program 'git' failed with exit code ${result.status}`);
}

async function copyTree(
  { evaluation, context }: FlakeCommand,
  reference: FlakeReference,
  target: string,
): Promise<void> {
  if (existsSync(target))
    throw new DevshellError("FLAKE_CLONE", `cannot clone into existing path "${target}"`);
  const { storePath } = evaluation.evaluator.run(() =>
    fetchReference(evaluation.evaluator.runtime, reference, "none"),
  );
  const path = parseStorePath(context.settings.storeDir, storePath);
  await restoreNar(bytesOfText(target), narChunks(context.store.realPath(path)));
}
