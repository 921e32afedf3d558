import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { createRequire } from "node:module";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { DevshellError, packageRoot } from "../../core/index.ts";
import { cacheDirectory } from "../../env/index.ts";
import { findProgram } from "../../io/index.ts";
import { DaemonStore, resolveStoreSettings, sandboxObstacle } from "../../store/index.ts";
import type { StoreSettings } from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { settingsOf } from "../request.ts";
import { formatBytes } from "../tui/index.ts";

interface Finding {
  readonly name: string;
  readonly state: "good" | "note" | "bad";
  readonly says: string;
  readonly remedy?: string | undefined;
}

const LOW_DISK_BYTES = 2e9;
const MARK = { good: "✓", note: "•", bad: "✗" } as const;

/** `devshell doctor`: what this machine allows, each with what can be done about it. Status 1 when something is bad. */
export async function run({ flags }: Invocation): Promise<number> {
  const settings = resolveStoreSettings(process.env, { overrides: settingsOf(flags) });
  const findings = [
    versions(),
    storeRung(settings),
    await sandbox(settings),
    namespaces(),
    disk("store", settings.realStoreDir ?? settings.storeDir, settings.daemon === undefined),
    disk("cache", cacheDirectory()),
    terminal(),
    compilers(),
    ...programs(),
    mirror(),
    substituters(settings),
  ];
  if (flags.has("json")) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  else {
    const width = Math.max(...findings.map((finding) => finding.name.length));
    for (const { name, state, says, remedy } of findings) {
      process.stdout.write(`${MARK[state]} ${name.padEnd(width)}  ${says}\n`);
      if (remedy !== undefined) process.stdout.write(`  ${" ".repeat(width)}  → ${remedy}\n`);
    }
  }
  return findings.some((finding) => finding.state === "bad") ? 1 : 0;
}

function versions(): Finding {
  const json = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  return {
    name: "version",
    state: "good",
    says: `devshell ${json.version}, Node ${process.versions.node}, Linux ${release()}`,
  };
}

function storeRung(settings: StoreSettings): Finding {
  const { rung, storeDir, stateDir } = settings;
  const where = `${storeDir} (state in ${stateDir})`;
  switch (rung) {
    case "given":
      return { name: "store", state: "good", says: `as the variables say: ${where}` };
    case "dummy":
      return { name: "store", state: "note", says: "none: NIX_REMOTE says dummy://" };
    case "system":
      return { name: "store", state: "good", says: `the system's, ours to write: ${where}` };
    case "daemon":
      return daemon(settings, where);
    case "namespace":
      return {
        name: "store",
        state: "good",
        says: `a private one, seen as /nix/store in a namespace: ${where}`,
      };
    case "prefix":
      return {
        name: "store",
        state: "note",
        says: `your own, at its own prefix: ${where}; Debian packages and builds work, prebuilt Nix binaries do not`,
        remedy: `for prebuilt ones: sudo install -d -o ${process.env["USER"] ?? "$USER"} /nix`,
      };
  }
}

async function sandbox({ config }: StoreSettings): Promise<Finding> {
  if (config.sandbox === "off")
    return { name: "sandbox", state: "note", says: "off", remedy: 'set "sandbox = true" in nix.conf' };
  const obstacle = await sandboxObstacle();
  return obstacle === undefined
    ? { name: "sandbox", state: "good", says: "builds run in their own namespaces" }
    : {
        name: "sandbox",
        state: "note",
        says: `builds run unprotected: ${obstacle}`,
        remedy: "install util-linux and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
      };
}

function namespaces(): Finding {
  const read = (path: string): string | undefined =>
    existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
  const isRefused =
    read("/proc/sys/kernel/unprivileged_userns_clone") === "0" ||
    read("/proc/sys/user/max_user_namespaces") === "0";
  const isConfined = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1";
  if (isRefused || (isConfined && process.geteuid?.() !== 0))
    return {
      name: "namespaces",
      state: "note",
      says: isRefused ? "the kernel refuses them to users" : "AppArmor confines them",
      remedy: isRefused
        ? "sysctl kernel.unprivileged_userns_clone=1"
        : "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    };
  return { name: "namespaces", state: "good", says: "user namespaces are allowed" };
}

function daemon(settings: StoreSettings, where: string): Finding {
  try {
    using store = DaemonStore.open(settings);
    const { version, daemonVersion = "", isTrusted } = store.greeting;
    const trust = isTrusted === true ? "which trusts you" : "as any user of it";
    return {
      name: "store",
      state: "good",
      says: `the Nix daemon's (${daemonVersion}, protocol 1.${version.minor}), ${trust}: ${where}`,
    };
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    return { name: "store", state: "bad", says: error.message, remedy: error.hint ?? "start the daemon" };
  }
}

function disk(name: string, path: string, isOurs = true): Finding {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  const stat = statfsSync(existing);
  const free = stat.bavail * stat.bsize;
  let isWritable = true;
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    isWritable = false;
  }
  if (!isWritable && isOurs)
    return {
      name,
      state: "bad",
      says: `"${existing}" cannot be written`,
      remedy: `make it yours, or choose another place by a variable`,
    };
  return free < LOW_DISK_BYTES
    ? {
        name,
        state: "bad",
        says: `only ${formatBytes(free)} free at "${existing}"`,
        remedy: "free some: `devshell gc`",
      }
    : { name, state: "good", says: `${formatBytes(free)} free at "${existing}"` };
}

function terminal(): Finding {
  try {
    createRequire(import.meta.url)("node-pty");
    return { name: "terminal", state: "good", says: "pseudo-terminals work: shells reload live" };
  } catch (error) {
    return {
      name: "terminal",
      state: "bad",
      says: `node-pty does not load: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)}`,
      remedy: "compile it: sh scripts/setup (needs a C++ compiler), or enter with --no-reload",
    };
  }
}

/** Only node-pty needs one of the host's; environments bring their own. */
function compilers(): Finding {
  const found = ["c++", "g++", "clang++", "cc", "gcc"].filter((name) => findProgram(name) !== undefined);
  return found.length > 0
    ? {
        name: "compilers",
        state: "good",
        says: `${found.join(", ")} of the host (environments bring their own)`,
      }
    : {
        name: "compilers",
        state: "note",
        says: "none on the host; environments bring their own",
        remedy: "only to compile node-pty: install g++",
      };
}

function programs(): Finding[] {
  return [
    ["bash", "the host's Bash starts an environment that has none", "install bash"],
    ["xz", "unpacks faster than the built-in decoder", "install xz-utils"],
  ].map(([name = "", use = "", remedy]) =>
    findProgram(name) === undefined
      ? { name, state: "note" as const, says: `not found: ${use}`, remedy }
      : { name, state: "good" as const, says: findProgram(name) ?? "" },
  );
}

function mirror(): Finding {
  const given = process.env["DEVSHELL_DEBIAN_MIRROR"];
  if (given !== undefined && given !== "")
    return { name: "mirror", state: "good", says: "of Debian: as DEVSHELL_DEBIAN_MIRROR says" };
  const directory = process.env["DEVSHELL_APT_DIR"] ?? "/etc/apt";
  const hasSources =
    existsSync(join(directory, "sources.list")) || existsSync(join(directory, "sources.list.d"));
  return hasSources
    ? { name: "mirror", state: "good", says: `of Debian: as the apt sources in ${directory} say` }
    : {
        name: "mirror",
        state: "note",
        says: "of Debian: none given, the default is used",
        remedy: "set DEVSHELL_DEBIAN_MIRROR",
      };
}

function substituters({ config }: StoreSettings): Finding {
  if (!config.substitute || config.substituters.length === 0)
    return {
      name: "substituters",
      state: "note",
      says: "none: everything is built",
      remedy: 'set "substituters" in nix.conf',
    };
  const unsigned = config.requireSignatures ? "" : "; signatures are not required";
  return {
    name: "substituters",
    state: config.requireSignatures ? "good" : "note",
    says: `${config.substituters.length}, ${config.trustedPublicKeys.length} trusted keys${unsigned}`,
    remedy: config.requireSignatures ? undefined : 'set "require-sigs = true"',
  };
}
