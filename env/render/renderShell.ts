import { bytesOfText, type ByteString } from "../../core/index.ts";
import type { BuildEnvironment, CapturedVariable } from "../types.ts";
import { isVariableName, quoteFish, quoteSh } from "./quote.ts";

/** `NIX_BUILD_TOP` is where phases unpack: the caller's temporary directory, as nix-shell has it. */
const BUILD_TOP = 'NIX_BUILD_TOP="${TMPDIR:-/tmp}"; export NIX_BUILD_TOP\n';

export interface RenderOptions {
  /** A directory that holds the environment's scripts; goes first on PATH. */
  readonly scriptsDir?: string | undefined;
}

/** The environment's own part of each exported variable, sorted by name; `appended` ones without the caller's. */
export function exportedVariables(
  environment: BuildEnvironment,
  { scriptsDir }: RenderOptions = {},
): [string, ByteString][] {
  const result: [string, ByteString][] = [];
  for (const [name, variable] of environment.variables) {
    if (variable.kind !== "exported" || !isVariableName(name)) continue;
    const value = name === "PATH" ? withScripts(variable.value, scriptsDir) : variable.value;
    // an empty part before a colon would name the working directory
    if (value === "" && !environment.isPure && environment.appended.includes(name)) continue;
    result.push([name, value]);
  }
  return result.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Exports and unsets for any POSIX shell that keeps its caller's variables. */
export function renderPosix(environment: BuildEnvironment, options: RenderOptions = {}): ByteString {
  const appended = new Set(environment.appended);
  let text = "";
  for (const name of environment.unset) if (isVariableName(name)) text += `unset ${name}\n`;
  for (const [name, value] of exportedVariables(environment, options))
    text += appended.has(name)
      ? `${name}=${quoteSh(value)}\${${name}:+":$${name}"}; export ${name}\n`
      : `export ${name}=${quoteSh(value)}\n`;
  return text + BUILD_TOP;
}

/**
 * Ends in `exec` of `"$@"` with exactly the environment's variables. A pure environment goes through `env -i`, whose
 * path is the host's, found before PATH is replaced.
 */
export function renderEnter(environment: BuildEnvironment, options: RenderOptions = {}): ByteString {
  if (!environment.isPure) return `${renderPosix(environment, options)}${REFUSE_UNKNOWN}exec "$@"\n`;
  const kept = environment.keep.filter(isVariableName).map((name) => `\${${name}+"${name}=$${name}"}`);
  const set = exportedVariables(environment, options)
    .filter(([name]) => !environment.keep.includes(name) || name === "PATH")
    .map(([name, value]) => quoteSh(`${name}=${value}`));
  return `set -- ${[...kept, ...set].join(" \\\n  ")} \\
  NIX_BUILD_TOP="\${TMPDIR:-/tmp}" "$@"
for devshell_env in /usr/bin/env /bin/env; do
  [ -x "$devshell_env" ] && exec "$devshell_env" -i "$@"
done
exec env -i "$@"
`;
}

/**
 * What Bash sources after the user's own rc: all variables and functions, then the shell hook. To be sourced at the
 * top level. It leaves `errexit` and `nounset` off, as nix-shell does.
 */
export function renderBash(environment: BuildEnvironment, options: RenderOptions = {}): ByteString {
  return `${renderBashState(environment, options)}${renderShellHook(environment)}`;
}

/** Variables and functions alone. */
function renderBashState(environment: BuildEnvironment, options: RenderOptions = {}): ByteString {
  let text = environment.isPure ? renderPosixPure(environment, options) : renderPosix(environment, options);
  for (const [name, variable] of environment.variables)
    if (variable.kind !== "exported") text += renderBashVariable(name, variable);
  // patterns in definitions may need it to be read
  if (environment.functions.size > 0)
    text += `shopt -q extglob && devshell_extglob=1 || devshell_extglob=\nshopt -s extglob\n`;
  for (const definition of environment.functions.values()) text += `${definition}\n`;
  if (environment.functions.size > 0)
    text += `[ -n "$devshell_extglob" ] || shopt -u extglob\nunset devshell_extglob\n`;
  return text;
}

/** As {@link renderBash}; before and after the hook it writes the exported variables to files, NUL after each. */
export function renderHookProbe(
  environment: BuildEnvironment,
  options: RenderOptions & { readonly env: string; readonly before: string; readonly after: string },
): ByteString {
  const env = quoteSh(bytesOfText(options.env));
  const before = quoteSh(bytesOfText(options.before));
  const after = quoteSh(bytesOfText(options.after));
  // The last by `exec`: what the hook left for EXIT is meant for a shell that was used.
  return `${renderBashState(environment, options)}${env} -0 >${before}
${renderShellHook({ ...environment, exitHook: "" })}exec ${env} -0 >${after}
`;
}

/** As nix-shell and `nix develop` end: hook last, through `runHook` where the setup brought it. */
function renderShellHook(environment: BuildEnvironment): ByteString {
  const hasExitHook = environment.exitHook !== "";
  const exitHook = hasExitHook
    ? `devshell_exit_hook() {\n${environment.exitHook}\n}\ntrap devshell_exit_hook EXIT\n`
    : "";
  const hook =
    environment.shellHook === ""
      ? ""
      : `if [ "$(type -t runHook)" = function ]; then runHook shellHook; else eval "\${shellHook-}"; fi\n`;
  return `set +eu\n${hook}unset NIX_ENFORCE_PURITY\nshopt -u nullglob\nshopt -s execfail\n${exitHook}`;
}

function renderPosixPure(environment: BuildEnvironment, options: RenderOptions): ByteString {
  return renderPosix({ ...environment, appended: [] }, options);
}

function renderBashVariable(name: string, variable: CapturedVariable): ByteString {
  if (!isVariableName(name)) return "";
  switch (variable.kind) {
    case "exported":
      return `export ${name}=${quoteSh(variable.value)}\n`;
    case "var":
      return `${name}=${quoteSh(variable.value)}\n`;
    case "array": {
      const items = variable.value.map((item, n) => {
        const index = variable.indices?.[n];
        return index === undefined ? quoteSh(item) : `[${index}]=${quoteSh(item)}`;
      });
      return `declare -ga ${name}=(${items.map((item) => (item === "" ? "''" : item)).join(" ")})\n`;
    }
    case "associative": {
      const items = [...variable.value].map(([key, value]) => `[${quoteSh(key)}]=${quoteSh(value)}`);
      return `declare -gA ${name}=(${items.join(" ")})\n`;
    }
  }
}

/** For fish: `config.fish` can source it. Hooks are Bash's and are not run. */
export function renderFish(environment: BuildEnvironment, options: RenderOptions = {}): ByteString {
  const appended = new Set(environment.isPure ? [] : environment.appended);
  let text = "";
  for (const name of environment.unset) if (isVariableName(name)) text += `set -e ${name}\n`;
  for (const [name, value] of exportedVariables(environment, options)) {
    // fish splits these three itself, into lists
    const isList = /^(PATH|MANPATH|CDPATH)$/.test(name);
    const words = isList ? value.split(":").map(quoteFish).join(" ") : quoteFish(value);
    if (!appended.has(name)) text += `set -gx ${name} ${words}\n`;
    else if (isList) text += `set -gx ${name} ${words} $${name}\n`;
    else text += `set -q ${name}; and set -gx ${name} ${words}":$${name}"; or set -gx ${name} ${words}\n`;
  }
  return `${text}set -q TMPDIR; and set -gx NIX_BUILD_TOP $TMPDIR; or set -gx NIX_BUILD_TOP /tmp\n`;
}

/** For direnv's `.envrc` library: the same exports, and the files to watch. */
export function renderDirenv(
  environment: BuildEnvironment,
  watched: readonly ByteString[],
  options: RenderOptions = {},
): ByteString {
  const watch = watched.map((path) => `watch_file ${quoteSh(path)}\n`).join("");
  return `${watch}${renderPosix(environment, options)}`;
}

/** The caller's variables turned into the environment's, for a child process. */
export function applyEnvironment(
  environment: BuildEnvironment,
  caller: NodeJS.ProcessEnv,
  options: RenderOptions = {},
): Map<string, ByteString> {
  const result = new Map<string, ByteString>();
  const keep = new Set(environment.keep);
  for (const [name, value] of Object.entries(caller))
    if (value !== undefined && (!environment.isPure || keep.has(name))) result.set(name, bytesOfText(value));
  for (const name of environment.unset) result.delete(name);
  for (const [name, value] of exportedVariables(environment, options)) {
    const own = result.get(name);
    const isAppended = !environment.isPure && environment.appended.includes(name);
    result.set(name, isAppended && own !== undefined && own !== "" ? `${value}:${own}` : value);
  }
  result.set("NIX_BUILD_TOP", bytesOfText(buildTopOf(caller)));
  return result;
}

/** As `${TMPDIR:-/tmp}` of the shells. */
export function buildTopOf(caller: NodeJS.ProcessEnv): string {
  const tmpdir = caller["TMPDIR"] ?? "";
  return tmpdir === "" ? "/tmp" : tmpdir;
}

function withScripts(path: ByteString, scriptsDir: string | undefined): ByteString {
  if (scriptsDir === undefined) return path;
  return path === "" ? bytesOfText(scriptsDir) : `${bytesOfText(scriptsDir)}:${path}`;
}

/** The shell itself would name the launcher and a line of it. */
const REFUSE_UNKNOWN = `case $1 in
  */*) ;;
  *) command -v -- "$1" >/dev/null 2>&1 || {
    printf 'devshell: %s: command not found in the environment\\n' "$1" >&2
    exit 127
  } ;;
esac
`;
