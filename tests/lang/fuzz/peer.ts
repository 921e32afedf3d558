import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How programs are evaluated on both sides. */
export interface Place {
  /** Where the programs are written, `0.nix`, `1.nix`, …; also the home directory, and where a repl runs. */
  readonly directory: string;
  readonly programs: readonly string[];
}

const SECONDS = 120;

export function writePrograms({ directory, programs }: Place): void {
  mkdirSync(directory, { recursive: true });
  for (const [index, text] of programs.entries())
    writeFileSync(programFile(directory, index), text, "latin1");
}

export function programFile(directory: string, index: number): string {
  return join(directory, `${index}.nix`);
}

/**
 * What one real `nix repl` prints for each program of a batch.
 * @returns `undefined` for a program on which Nix itself crashes or does not end
 */
export async function evaluateByPeer(bin: string, place: Place): Promise<(string | undefined)[]> {
  const answers: (string | undefined)[] = [];
  while (answers.length < place.programs.length) {
    const first = answers.length;
    const lines = place.programs.slice(first).map((_, index) => commandFor(place.directory, first + index));
    const output = await run(
      bin,
      "nix",
      ["repl", "--quiet", "--show-trace"],
      "2>&1",
      place.directory,
      `${lines.join("\n")}\n`,
    );
    const parts = plain(output)
      .split(/^nix-repl> :p import \S+\/\d+\.nix\n/m)
      .slice(1);
    const isWhole = parts.length === lines.length && /nix-repl> \n?$/.test(output);
    // The last answer of a process that ended too early is none.
    for (const part of isWhole ? parts : parts.slice(0, -1))
      answers.push(part.replace(/\n?nix-repl> \n?$/, "").trimEnd());
    if (!isWhole) answers.push(undefined);
  }
  return answers;
}

export function commandFor(directory: string, index: number): string {
  return `:p import ${programFile(directory, index)}`;
}

/**
 * What `nix-instantiate --parse` prints for each program; `undefined` where it fails. It ends at the first failure, and
 * starting it is what takes time: it is asked about what parses here or was evaluated there.
 */
export async function parseByPeer(
  bin: string,
  { directory, programs }: Place,
  expected: (index: number) => boolean,
): Promise<(string | undefined)[]> {
  const answers: (string | undefined)[] = programs.map(() => undefined);
  let wanted = [...programs.keys()].filter(expected);
  while (wanted.length > 0) {
    const files = wanted.map((index) => programFile(directory, index));
    const output = await run(bin, "nix-instantiate", ["--parse", ...files], "2>/dev/null", directory, "");
    const lines = output.split("\n").slice(0, -1);
    for (const [at, line] of lines.entries()) answers[wanted[at]!] = line;
    wanted = wanted.slice(lines.length + 1);
  }
  return answers;
}

function run(
  bin: string,
  program: string,
  words: readonly string[],
  redirection: string,
  directory: string,
  input: string,
): Promise<string> {
  const child = spawn(
    "sh",
    [
      "-c",
      `ulimit -v 8000000; exec "$0" "$@" ${redirection}`,
      join(bin, program),
      ...words,
      "--store",
      "dummy://?read-only=false",
    ],
    {
      cwd: directory,
      env: {
        HOME: directory,
        XDG_CACHE_HOME: join(tmpdir(), "fuzz-nix-state"),
        XDG_DATA_HOME: join(tmpdir(), "fuzz-nix-state"),
        // Not below the directory, which programs may look at.
        NIX_STATE_DIR: join(tmpdir(), "fuzz-nix-state"),
        NIX_CONF_DIR: directory,
        NIX_CONFIG: "experimental-features = nix-command flakes\nsubstituters =",
        NIX_PATH: "",
      },
      stdio: ["pipe", "pipe", "ignore"],
    },
  );
  const chunks: string[] = [];
  child.stdout.setEncoding("latin1").on("data", (text: string) => chunks.push(text));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill("SIGKILL"), SECONDS * 1000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      resolve(chunks.join(""));
    });
  });
}

function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1B\[[0-9;]*m/g, "");
}
