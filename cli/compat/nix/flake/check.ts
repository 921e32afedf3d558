import { resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../../core/index.ts";
import type { AttrSet } from "../../../../lang/index.ts";
import type { DerivedPath } from "../../../../store/index.ts";
import { printLine, say } from "../../output.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";
import { OutputChecker, type FoundCheck } from "./outputChecker.ts";

const GREEN = "\u001B[32;1m";
const PLAIN = "\u001B[0m";

/** `nix flake check`: evaluates what a flake provides, and builds its checks. */
export async function check(argv: readonly string[]): Promise<number> {
  const options = { isBuilt: true, checksAllSystems: false, isPrinting: false };
  let outLink: string | undefined;
  const request = parseFlakeRequest("nix flake check", argv, (word, next) => {
    if (word === "--no-build") options.isBuilt = false;
    else if (word === "--all-systems") options.checksAllSystems = true;
    else if (word === "--print-out-paths") options.isPrinting = true;
    else if (word === "-o" || word === "--out-link") outLink = next();
    else return false;
    return true;
  });
  const { settings } = request.common;
  if (!options.isBuilt && !settings.has("allow-import-from-derivation"))
    settings.set("allow-import-from-derivation", "false");
  using command = new FlakeCommand(request, { isReadOnly: !options.isBuilt });
  const { evaluation, context } = command;
  const locked = command.lock({ appliesSettings: true });
  const checker = new OutputChecker(evaluation, {
    system: context.settings.config.system,
    checksAllSystems: options.checksAllSystems,
    keepsGoing: settings.get("keep-going") === "true",
  });
  say("evaluating flake...");
  const outputs = command.open(locked).get("outputs") ?? null;
  evaluation.evaluator.run(() => checker.check(evaluation.evaluator.force(outputs) as AttrSet));
  if (options.isBuilt) {
    evaluation.host.flush();
    const built = await build(command, checker);
    if (options.isPrinting) for (const [, path] of built) printLine(path);
    built.forEach(([output, path], index) => {
      if (outLink === undefined) return;
      const numbered = index === 0 ? outLink : `${outLink}-${index}`;
      const link = output === "out" ? numbered : `${numbered}-${output}`;
      context.store.addRoot(bytesOfText(resolve(link)), path);
    });
  }
  if (checker.hasErrors)
    throw new DevshellError("FLAKE_CHECK", "some errors were encountered during the evaluation");
  say(process.stderr.isTTY ? `${GREEN}all checks passed!${PLAIN}` : "all checks passed!");
  const omitted = [...checker.omittedSystems].toSorted();
  if (omitted.length > 0)
    say(
      `warning: The check omitted these incompatible systems: ${omitted.join(", ")}\nUse '--all-systems' to check all.`,
    );
  return 0;
}

/** Builds the checks. @returns their outputs */
async function build(
  { context }: FlakeCommand,
  checker: OutputChecker,
): Promise<[output: string, path: FoundCheck["drvPath"]][]> {
  const checks = [...new Map(checker.checks.map((each) => [each.drvPath, each])).values()];
  const targets = checks.map(({ drvPath }): DerivedPath => ({ kind: "built", drvPath, outputs: "*" }));
  if (targets.length === 0) return [];
  const { store } = context;
  const isMissing = ({ drvPath }: FoundCheck): boolean =>
    [...store.queryDerivationOutputs(drvPath).values()].some(
      (path) => path === undefined || !store.isValidPath(path),
    );
  say(`running ${checks.filter(isMissing).length} flake checks...`);
  const report = await context.tryRealise(targets);
  for (const [index, { status, error }] of report.results.entries()) {
    const check = checks[index];
    if (status !== "failed" || check === undefined) continue;
    const message = error instanceof Error ? textOfBytes(error.message) : String(error);
    checker.report(
      new DevshellError(
        "FLAKE_CHECK",
        `failed to build attribute '${check.attribute}', build of '${check.drvPath}^*' failed: ${message}`,
        { cause: error },
      ),
    );
  }
  return checks.flatMap(({ drvPath }) =>
    [...store.queryDerivationOutputs(drvPath)].flatMap(([output, path]): [string, FoundCheck["drvPath"]][] =>
      path === undefined ? [] : [[output, path]],
    ),
  );
}
