import { dirname, resolve } from "node:path";
import { DevshellError, bytesOfText, type ByteString } from "../../core/index.ts";
import {
  autoArguments,
  derivationsOf,
  openEvaluation,
  type FoundDerivation,
  type StoreContext,
} from "../../env/index.ts";
import { EMPTY_SET, type AttrSet, type Evaluator, type Expr, type Value } from "../../lang/index.ts";
import { baseDirectory } from "./baseDirectory.ts";
import type { CommonFlags } from "./commandLine.ts";
import { debuggerOf } from "./debugger.ts";
import { standardInput } from "./output.ts";

/** Where an expression comes from. Failures of a file that is imported name it, as those of `nix eval --file` do. */
export type ExpressionSource =
  | { readonly kind: "file"; readonly file: string; readonly isImported?: boolean }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "stdin" };

/** An evaluator with what the command line gives it. */
export interface CompatEvaluation {
  readonly evaluator: Evaluator;
  readonly host: ReturnType<typeof openEvaluation>["host"];
  readonly autoArguments: AttrSet;
  /** The path that `-f` and its like name: a file or directory, `<name>`, or what a URL gives. */
  resolveFile(file: string): ByteString;
  parse(source: ExpressionSource): Expr;
  evaluate(source: ExpressionSource): Value;
  /** A value's derivations, as nix-build takes them. */
  derivationsOf(value: Value): FoundDerivation[];
}

/** @param options `isFullyLazy`: once more, see `OpenEvaluationOptions` */
export function openCompatEvaluation(
  context: StoreContext,
  flags: CommonFlags,
  options: { readonly isFullyLazy?: boolean; readonly showTrace?: boolean } = {},
): CompatEvaluation {
  const directory = baseDirectory();
  const baseBytes = bytesOfText(directory);
  let given = EMPTY_SET;
  const { evaluator, host } = openEvaluation(context, {
    directory,
    includes: flags.includes,
    ...options,
    onStop: debuggerOf(context, flags, () => ({ evaluator, host, autoArguments: given })),
  });
  given = autoArguments(evaluator, { arguments: flags.arguments, directory });
  const pathOfFile = (file: string): ByteString => {
    if (/^<[^<>]+>$/.test(file)) return evaluator.findFile(bytesOfText(file.slice(1, -1)));
    if (/^(https?|file|channel|flake):/.test(file)) {
      const fetched = host.resolveSearchPathEntry(bytesOfText(file));
      if (fetched === undefined) throw new DevshellError("EVAL_FETCH", `Cannot fetch "${file}"`);
      return fetched;
    }
    return bytesOfText(resolve(directory, file));
  };
  const textOf = (
    text: ByteString,
    kind: "string" | "stdin",
  ): readonly [ByteString, ByteString, { kind: "string" | "stdin"; text: ByteString }] => [
    text,
    baseBytes,
    { kind, text },
  ];
  return {
    evaluator,
    host,
    autoArguments: given,
    resolveFile: pathOfFile,
    parse(source) {
      if (source.kind === "text") return evaluator.parse(...textOf(bytesOfText(source.text), "string"));
      if (source.kind === "stdin") return evaluator.parse(...textOf(readStandardInput(context), "stdin"));
      const { path, text } = readExpression(host, host.resolveSymlinks(pathOfFile(source.file)));
      return evaluator.parse(text, dirname(path), { kind: "file", path });
    },
    evaluate(source) {
      if (source.kind === "text") return evaluator.evalText(...textOf(bytesOfText(source.text), "string"));
      if (source.kind === "stdin") return evaluator.evalText(...textOf(readStandardInput(context), "stdin"));
      const path = pathOfFile(source.file);
      return source.isImported === true ? evaluator.importFile(path) : evaluator.evalFile(path);
    },
    derivationsOf: (value) => derivationsOf({ evaluator, host }, { slot: value, autoArguments: given }),
  };
}

/** A file's text, or that of a directory's `default.nix`: nearly all are files, and asking first takes as long as opening. */
function readExpression(
  host: CompatEvaluation["host"],
  path: ByteString,
): { readonly path: ByteString; readonly text: ByteString } {
  try {
    return { path, text: host.readFile(path) };
  } catch (error) {
    if (host.fileType(path) !== "directory") throw error;
    const file = `${path}/default.nix`;
    return { path: file, text: host.readFile(file) };
  }
}

/** Selects `-A` paths, or the whole; forces each. */
export function selectValues(
  evaluation: CompatEvaluation,
  root: Value,
  attributePaths: readonly string[],
): { readonly value: Value; readonly pos: number }[] {
  const { evaluator } = evaluation;
  return (attributePaths.length === 0 ? [""] : attributePaths).map((path) => {
    const { slot, pos } = evaluator.selectAttrPath(root, bytesOfText(path), evaluation.autoArguments);
    return { value: evaluator.force(slot), pos };
  });
}

function readStandardInput({ tracker }: StoreContext): ByteString {
  tracker.impure("standard input");
  standardInputText ??= Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString(
    "latin1",
  );
  return standardInputText;
}

/** What was read already: it can be evaluated more than once. */
let standardInputText: ByteString | undefined;
