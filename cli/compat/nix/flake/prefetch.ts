import { resolve } from "node:path";
import { bytesOfText, shownUrl } from "../../../../core/index.ts";
import {
  attributesOf,
  fetchReference,
  printLockJson,
  showReference,
  type FlakeReference,
  type LockJson,
} from "../../../../lang/index.ts";
import { parseStorePath } from "../../../../store/index.ts";
import { say } from "../../output.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";

/** `nix flake prefetch`: a reference's tree in the store. */
export function prefetch(argv: readonly string[]): number {
  let isJson = false;
  let outLink: string | undefined;
  const layout: JsonLayout = { isPretty: undefined };
  const request = parseFlakeRequest("nix flake prefetch", argv, (word, next) => {
    if (word === "--json") isJson = true;
    else if (word === "-o" || word === "--out-link") outLink = next();
    else return takeJsonLayout(layout, word);
    return true;
  });
  using command = new FlakeCommand(request);
  const { context, evaluation } = command;
  const resolved = resolveFully(command);
  const tree = evaluation.evaluator.run(() => fetchReference(evaluation.evaluator.runtime, resolved, "none"));
  const hash = String(tree.locked.attributes.get("narHash"));
  if (isJson) {
    const fields = new Map<string, LockJson>([
      ["storePath", tree.storePath],
      ["hash", hash],
      ["original", attributesOf(resolved)],
      ["locked", attributesOf(tree.locked)],
    ]);
    printJsonLine(printLockJson(fields, "compact"), layout);
  } else say(`Downloaded '${shownUrl(showReference(tree.locked))}' to '${tree.storePath}' (hash '${hash}').`);
  if (outLink !== undefined)
    context.store.addRoot(
      bytesOfText(resolve(outLink)),
      parseStorePath(context.settings.storeDir, tree.storePath),
    );
  return 0;
}

/** What the registries make of the command's reference, be it direct. */
export function resolveFully(
  command: Pick<FlakeCommand, "context" | "reference">,
  reference = command.reference,
): FlakeReference {
  const { attributes, dir } = command.context.registries.resolve(reference.attributes, "all");
  return { attributes, dir: dir ?? reference.dir };
}
