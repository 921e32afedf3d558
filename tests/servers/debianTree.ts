import { execFile } from "node:child_process";
import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findMirrors } from "../../packages/debian/index/mirrors.ts";
import { deleteTree } from "../../store/index.ts";
import { DEVSHELL } from "../cli/testCommands.ts";

/** Programs of Debian's, had through devshell as its users have them. */
export interface DebianTree extends Disposable {
  /** A program's place; those of administrators too. */
  program(name: string): string;
}

/** Chosen before what else satisfies the same need, and brings Perl along, and so a compiler for the shim. */
const MERGED = "usr-is-merged";

/** Whether Debian's archive is within reach: asked once, before the tests are counted. */
export async function isArchiveReachable(suite: string): Promise<boolean> {
  const [mirror] = findMirrors({ env: process.env }).main;
  if (mirror === undefined) return false;
  const asked = fetch(`${mirror}/dists/${suite}/InRelease`, {
    method: "HEAD",
    signal: AbortSignal.timeout(10_000),
  });
  return await asked.then(
    ({ ok }) => ok,
    () => false,
  );
}

/**
 * Packages of a suite and what they depend on, in one tree.
 * DEVSHELL_TEST_HOME names a directory that is kept between runs.
 */
export async function debianTree(suite: string, packages: readonly string[]): Promise<DebianTree> {
  const kept = process.env["DEVSHELL_TEST_HOME"];
  const home = kept ?? realpathSync(mkdtempSync(join(tmpdir(), "devshell-servers-")));
  const expression = `(import <debian> { suite = "${suite}"; }).environment {
    name = "servers"; packages = [ ${[MERGED, ...packages].map((name) => `"${name}"`).join(" ")} ];
  }`;
  const { stdout } = await promisify(execFile)(DEVSHELL, ["build", "--no-out-link", "-E", expression], {
    cwd: home,
    encoding: "utf8",
    env: {
      PATH: "/usr/bin:/bin",
      HOME: home,
      NIX_STORE_DIR: join(home, "store"),
      NIX_STATE_DIR: join(home, "state"),
      NIX_LOG_DIR: join(home, "log"),
      // A mirror may be a snapshot: what is tested is not how new it is.
      DEVSHELL_DEBIAN_VALID_UNTIL: "ignore",
      ...variables("DEVSHELL_DEBIAN_MIRROR", "http_proxy", "https_proxy", "no_proxy"),
    },
  });
  const root = stdout.trim();
  return {
    program: (name) => join(root, /^(?:sshd|nginx)$/.test(name) ? "usr/sbin" : "usr/bin", name),
    [Symbol.dispose]: () => {
      if (kept === undefined) deleteTree(home);
    },
  };
}

function variables(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => [name, process.env[name] ?? ""]).filter(([, value]) => value !== ""),
  );
}
