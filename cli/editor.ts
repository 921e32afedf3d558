import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { DevshellError, packageRoot } from "../core/index.ts";
import { findInPath, isProgram } from "../io/index.ts";

/** A program with its first arguments. */
export type Editor = readonly [string, ...string[]];

/** Tried in this order where none is named. */
const EDITORS = ["code", "code-insiders", "codium", "vscodium", "code-oss", "cursor", "windsurf", "positron"];
/** They understand `--list-extensions`; others might take it for a file. */
const FAMILY = new Set([...EDITORS, "code-server", "openvscode-server", "kiro", "trae", "antigravity"]);
const EXTENSION_ID = "devshell.devshell";

/**
 * The editor to start, by an absolute path: of `--editor`, else of DEVSHELL_EDITOR, else the first that is there.
 * @param environment the caller's: its PATH, before any environment of ours
 * @throws {DevshellError} `CLI_NO_EDITOR`
 */
export function findEditor(
  named: string | undefined,
  environment: NodeJS.ProcessEnv,
  directory: string,
): Editor {
  const path = environment["PATH"] ?? "";
  const given = named ?? nonEmpty(environment["DEVSHELL_EDITOR"]);
  if (given !== undefined) {
    const find = (program: string): string | undefined => {
      if (!program.includes("/")) return findInPath(program, path);
      const file = resolve(directory, program);
      return isProgram(file) ? file : undefined;
    };
    // A path may hold blanks; "code --profile work" has arguments.
    const whole = find(given);
    if (whole !== undefined) return [whole];
    const [first = "", ...args] = given.trim().split(/\s+/);
    const program = find(first);
    if (program !== undefined) return [program, ...args];
    throw new DevshellError("CLI_NO_EDITOR", `Cannot find the editor "${given}"`, {
      hint: `${named === undefined ? "DEVSHELL_EDITOR" : "--editor"} takes a program on PATH or a path to one`,
    });
  }
  for (const name of EDITORS) {
    const program = findInPath(name, path);
    if (program !== undefined) return [program];
  }
  throw new DevshellError("CLI_NO_EDITOR", `Cannot find an editor: PATH has none of ${EDITORS.join(", ")}`, {
    hint: "name one by --editor or in DEVSHELL_EDITOR",
  });
}

export interface ExtensionQuestion extends Disposable {
  /** Whether the editor has the extension; `undefined`: it did not say so in time. */
  within(ms: number): Promise<boolean | undefined>;
}

/** Asks the editor for its extensions, in the background. */
export function hasExtension(editor: Editor): ExtensionQuestion {
  const [program, ...args] = editor;
  if (!FAMILY.has(basename(program)))
    return { within: () => Promise.resolve(undefined), [Symbol.dispose]: () => undefined };
  const child = spawn(program, [...args, "--list-extensions"], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-1_000_000);
  });
  const answer = new Promise<boolean | undefined>((done) => {
    child.on("error", () => done(undefined));
    child.on("close", (status) =>
      done(status === 0 ? text.toLowerCase().split(/\s+/).includes(EXTENSION_ID) : undefined),
    );
  });
  return {
    async within(ms) {
      const { promise, resolve: giveUp } = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => giveUp(undefined), ms);
      try {
        return await Promise.race([answer, promise]);
      } finally {
        clearTimeout(timer);
      }
    },
    [Symbol.dispose]() {
      child.kill();
      child.stdout.destroy();
      child.unref();
    },
  };
}

/**
 * Has the editor install the packaged extension.
 * @throws {DevshellError} `CLI_NO_EXTENSION`, `CLI_EXTENSION_NOT_INSTALLED`
 */
export async function installExtension(editor: Editor, directory = join(packageRoot, "dist")): Promise<void> {
  const file = globSync("devshell-*.vsix", { cwd: directory }).toSorted().at(-1);
  if (file === undefined)
    throw new DevshellError("CLI_NO_EXTENSION", `Cannot find the packaged extension in "${directory}"`, {
      hint: "`npm run package` makes it",
    });
  const [program, ...args] = editor;
  const words = [...args, "--install-extension", join(directory, file), "--force"];
  // Standard output stays free for the editor itself.
  const child = spawn(program, words, { stdio: ["ignore", 2, 2] });
  const status = await new Promise<number | string>((done) => {
    child.on("error", (error) => done(error.message));
    child.on("close", (code, signal) => done(code ?? signal ?? "?"));
  });
  if (status !== 0)
    throw new DevshellError(
      "CLI_EXTENSION_NOT_INSTALLED",
      `Cannot install the extension: "${basename(program)} --install-extension" ended with ${status}`,
    );
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
