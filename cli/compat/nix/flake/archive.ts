import { notBuilt } from "../../../notBuilt.ts";
import {
  isFollowed,
  printLockJson,
  relativePathOf,
  sortedInputs,
  type LockJson,
  type LockNode,
} from "../../../../lang/index.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";
import { fetchLocked } from "./prefetchInputs.ts";

/** `nix flake archive`: a flake and all its inputs in the store. */
export function archive(argv: readonly string[]): number {
  let isJson = false;
  let target: string | undefined;
  const layout: JsonLayout = { isPretty: undefined };
  const request = parseFlakeRequest("nix flake archive", argv, (word, next) => {
    if (word === "--json") isJson = true;
    else if (word === "--to") target = next();
    else if (word !== "--dry-run" && word !== "--no-check-sigs") return takeJsonLayout(layout, word);
    return true;
  });
  if (target !== undefined) throw notBuilt("nix flake archive --to", "`nix copy --to` copies store paths");
  using command = new FlakeCommand(request);
  const { flake, lock } = command.lock();
  const { storeDir } = command.context.settings;
  const top = `${storeDir}/${flake.directory.slice(storeDir.length + 1).split("/")[0] ?? ""}`;
  const json = new Map<string, LockJson>([
    ["path", top],
    ["inputs", inputsOf(command, lock)],
  ]);
  if (isJson) printJsonLine(printLockJson(json, "compact"), layout);
  return 0;
}

function inputsOf(command: FlakeCommand, node: LockNode): LockJson {
  const inputs = new Map<string, LockJson>();
  for (const [name, edge] of sortedInputs(node)) {
    if (isFollowed(edge) || edge.pin === undefined) continue;
    const fields = new Map<string, LockJson>();
    if (relativePathOf(edge.pin.locked) === undefined)
      fields.set("path", fetchLocked(command, edge.pin.locked));
    inputs.set(name, fields.set("inputs", inputsOf(command, edge)));
  }
  return inputs;
}
