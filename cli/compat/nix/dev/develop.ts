import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../../core/index.ts";
import { findFlakeOutput, type StoreContext } from "../../../../env/index.ts";
import { isProgram } from "../../../../io/index.ts";
import { AttrSet, force, type Slot } from "../../../../lang/index.ts";
import { usageError } from "../../commandLine.ts";
import { say } from "../../output.ts";
import { becomeProgram } from "../becomeProgram.ts";
import { builtPathsOf } from "../builtPaths.ts";
import { environmentOf, newEnvironmentFlags, takeEnvironmentFlag } from "../environmentFlags.ts";
import { targetOfFlakeOutput } from "../targets.ts";
import { quoteAlways } from "./environmentFile.ts";
import {
  devScript,
  openDevContext,
  openDevEnvironment,
  parseDevRequest,
  type DevEnvironment,
} from "./openDevEnvironment.ts";

/** Flags that name a phase. */
const PHASES: Readonly<Record<string, string>> = {
  "--unpack": "unpack",
  "--configure": "configure",
  "--build": "build",
  "--check": "check",
  "--install": "install",
  "--installcheck": "installCheck",
};

/** `nix develop`: Bash in the environment of a derivation's build, a command in it, or a phase of the build. */
export async function develop(argv: readonly string[]): Promise<number> {
  const variables = newEnvironmentFlags();
  let command: readonly string[] = [];
  let phase: string | undefined;
  const request = parseDevRequest("nix develop", argv, (word, next, { rest }) => {
    if (takeEnvironmentFlag(variables, word, next)) return true;
    if (word === "-c" || word === "--command") {
      command = rest();
      if (command.length === 0) throw usageError("nix develop", "--command requires at least one argument");
    } else if (word === "--phase") phase = next();
    else if (PHASES[word] !== undefined) phase = PHASES[word];
    else return false;
    return true;
  });
  if (phase !== undefined && command.length > 0)
    throw usageError("nix develop", "you cannot use both '--command' and '--phase'");
  using context = openDevContext("nix develop", request);
  const environment = await openDevEnvironment(context, request);
  const rcFile = join(mkdtempSync(join(tmpdir(), "nix-shell.")), "rc");
  const shell = (await interactiveBash(context, environment)) ?? "bash";
  const lines = [
    devScript(context, request, environment),
    `command rm -rf ${quoteAlways(bytesOfText(dirname(rcFile)))}\n`,
  ];
  if (request.flags.verbosity >= 3) lines.push("set -x\n");
  if (phase !== undefined) lines.push(phaseScript(phase));
  else if (command.length > 0)
    lines.push(`exec ${command.map((word) => quoteAlways(bytesOfText(word))).join(" ")}\n`);
  else {
    lines.unshift('[ -n "$PS1" ] && [ -e ~/.bashrc ] && source ~/.bashrc;\nshopt -u expand_aliases\n');
    lines.push("\nshopt -s expand_aliases\n", promptScript(context));
  }
  const isFound = shell.includes("/");
  lines.push(`SHELL="${shell}"\n`);
  if (isFound) lines.push(`PATH="${dirname(shell)}\${PATH:+:$PATH}"\n`);
  writeFileSync(rcFile, lines.join(""), "latin1");
  const given = environmentOf(variables, process.env);
  given["NIX_GCROOT"] = textOfBytes(environment.path);
  given["SHELL"] = shell;
  const source = environment.found.all[0]?.flake?.().sourcePath;
  if (phase !== undefined && source !== undefined) process.chdir(source);
  const isCommand = phase !== undefined || command.length > 0;
  return becomeProgram(context, shell, isCommand ? [rcFile] : ["--rcfile", rcFile], given);
}

/** The phase's function may be hooked; what its makefile check would have found is taken as found. */
function phaseScript(phase: string): string {
  const name = quoteAlways(bytesOfText(`${phase}Phase`));
  return `foundMakefile=1
if declare -f runPhase >/dev/null; then
  runPhase ${name}
else
  runHook ${name}
fi
`;
}

function promptScript({ settings: { config } }: StoreContext): string {
  const setting = (name: string): string => quoteAlways(bytesOfText(config.raw.get(name) ?? ""));
  const lines = [
    ["bash-prompt", `PS1=${setting("bash-prompt")}`],
    ["bash-prompt-prefix", `PS1=${setting("bash-prompt-prefix")}"$PS1"`],
    ["bash-prompt-suffix", `PS1+=${setting("bash-prompt-suffix")}`],
  ] as const;
  return lines
    .filter(([name]) => (config.raw.get(name) ?? "") !== "")
    .map(([, line]) => `[ -n "$PS1" ] && ${line};\n`)
    .join("");
}

/**
 * `bashInteractive` of the nixpkgs that the flake was locked with. A shell with line editing is worth a build, but
 * no failure.
 */
async function interactiveBash(
  context: StoreContext,
  { found }: DevEnvironment,
): Promise<string | undefined> {
  try {
    const flake = found.all[0]?.flake?.().flake;
    const inputs = flake?.get("inputs");
    const nixpkgs = setOf(setOf(inputs)?.get("nixpkgs"));
    const outputs = nixpkgs?.get("outputs");
    if (outputs === undefined) return undefined;
    const path = `legacyPackages.${context.settings.config.system}.bashInteractive`;
    const evaluation = found.evaluation();
    const target = targetOfFlakeOutput(
      context,
      evaluation,
      findFlakeOutput(outputs, "nixpkgs", [path]),
      undefined,
    );
    evaluation.host.flush();
    await context.realise([target]);
    return builtPathsOf(context, target)
      .map(([, output]) => `${textOfBytes(output)}/bin/bash`)
      .find(isProgram);
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    say(bytesOfText(`error (ignored): ${error.message}`));
    return undefined;
  }
}

function setOf(slot: Slot | undefined): AttrSet | undefined {
  const value = slot === undefined ? undefined : force(slot);
  return value instanceof AttrSet ? value : undefined;
}
