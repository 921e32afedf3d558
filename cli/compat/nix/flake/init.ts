import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../../core/index.ts";
import { parseInstallable, workingDirectory } from "../../../../env/index.ts";
import { findProgram } from "../../../../io/index.ts";
import {
  type AttrSet,
  NO_POS,
  coerceToPath,
  evalError,
  forceAttrs,
  forceString,
  type Slot,
} from "../../../../lang/index.ts";
import { isInStore, splitStorePath } from "../../../../store/index.ts";
import { usageError } from "../../commandLine.ts";
import { say } from "../../output.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";

/** `nix flake init`: a template's files in the working directory. */
export function init(argv: readonly string[]): number {
  return fromTemplate("nix flake init", argv, 0);
}

/** `nix flake new DIRECTORY`. */
export function create(argv: readonly string[]): number {
  return fromTemplate("nix flake new", argv, 1);
}

function fromTemplate(name: string, argv: readonly string[], wordCount: number): number {
  let template = "templates";
  const request = parseFlakeRequest(
    name,
    argv,
    (word, next) => {
      if (word !== "-t" && word !== "--template") return false;
      template = next();
      return true;
    },
    wordCount,
  );
  if (request.words.length < wordCount) throw usageError(name, "expected 'dest-dir'");
  const target = resolve(workingDirectory(), request.words[0] ?? ".");
  using command = new FlakeCommand({ ...request, words: [] });
  const chosen = findTemplate(command, template);
  const { source, welcome } = command.evaluation.evaluator.run(() => readTemplate(command, chosen));
  const copy = new TemplateCopy();
  copy.directory(source, target);
  trackFiles(target, copy.written);
  if (welcome !== undefined) say(`\n\n${welcome}`);
  if (copy.conflicts > 0)
    throw new DevshellError("FLAKE_TEMPLATE", `encountered ${copy.conflicts} conflicts - see above`);
  return 0;
}

function findTemplate(command: FlakeCommand, text: string): AttrSet {
  const { reference, fragment } = parseInstallable(text, { directory: workingDirectory(), notice: say });
  const { evaluator, autoArguments } = command.evaluation;
  const locked = command.lock({ isWritten: false }, reference);
  const outputs = command.open(locked).get("outputs") ?? null;
  const paths =
    fragment === "" ? ["templates.default", "defaultTemplate"] : [`templates.${fragment}`, fragment];
  for (const path of paths) {
    const found = tryPath(evaluator, outputs, path, autoArguments);
    if (found !== undefined)
      return evaluator.run(() => forceAttrs(found, NO_POS, `while evaluating the template '${path}'`));
  }
  const shown = paths.map((path) => `'${path}'`);
  const last = shown.pop() ?? "";
  throw new DevshellError(
    "FLAKE_TEMPLATE",
    `flake '${textOfBytes(command.showLocked(locked))}' does not provide attribute ${[shown.join(", "), last].filter((part) => part !== "").join(" or ")}`,
  );
}

function tryPath(
  evaluator: FlakeCommand["evaluation"]["evaluator"],
  outputs: Slot,
  path: string,
  autoArguments: AttrSet,
): Slot | undefined {
  try {
    return evaluator.selectAttrPath(outputs, path, autoArguments).slot;
  } catch (error) {
    if (error instanceof DevshellError && /missing|not found/.test(error.message)) return undefined;
    throw error;
  }
}

function readTemplate(
  { context, evaluation }: FlakeCommand,
  template: AttrSet,
): { readonly source: string; readonly welcome: string | undefined } {
  const slot = template.get("path");
  if (slot === undefined) throw evalError("missingAttribute", "attribute 'path' missing", NO_POS);
  const path = coerceToPath(evaluation.evaluator.runtime, slot, new Set(), template.posOf("path"), "");
  const { storeDir } = context.settings;
  let source = path;
  if (isInStore(storeDir, path)) {
    const { storePath, rest } = splitStorePath(storeDir, path);
    source = `${context.store.realPath(storePath)}${rest}`;
  }
  const welcome = template.get("welcomeText");
  return {
    source: textOfBytes(source),
    welcome: welcome === undefined ? undefined : forceString(welcome, template.posOf("welcomeText"), ""),
  };
}

/** Copies a tree into a directory without overwriting what is there. */
class TemplateCopy {
  readonly written: string[] = [];
  conflicts = 0;

  directory(from: string, to: string): void {
    mkdirSync(to, { recursive: true });
    for (const entry of readdirSync(from).toSorted()) this.#entry(join(from, entry), join(to, entry));
  }

  #entry(from: string, to: string): void {
    const stat = lstatSync(from);
    if (stat.isDirectory()) return this.directory(from, to);
    const isLink = stat.isSymbolicLink();
    const content = isLink ? Buffer.from(readlinkSync(from)) : readFileSync(from);
    const known = lstatSync(to, { throwIfNoEntry: false });
    if (known === undefined) {
      if (isLink) symlinkSync(content.toString(), to);
      else writeFileSync(to, content);
      this.written.push(to);
      return say(bytesOfText(`wrote: "${to}"`));
    }
    const isSame =
      known.isSymbolicLink() === isLink &&
      !known.isDirectory() &&
      content.equals(isLink ? Buffer.from(readlinkSync(to)) : readFileSync(to));
    if (isSame) return say(bytesOfText(`skipping identical file: ${from}`));
    this.conflicts++;
    return say(
      bytesOfText(
        `error: refusing to overwrite existing file "${to}"\n please merge it manually with '${from}'`,
      ),
    );
  }
}

/** Where the directory is a Git work tree, its new files are made known to it, or no flake would hold them. */
function trackFiles(directory: string, files: readonly string[]): void {
  if (files.length === 0 || !existsSync(join(directory, ".git"))) return;
  const program = findProgram("git");
  if (program === undefined) return;
  const args = ["-C", directory, "add", "--intent-to-add", "--force", "--", ...files];
  const result = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0)
    throw new DevshellError("FLAKE_TEMPLATE", `program 'git' failed with exit code ${result.status}`);
}
