import {
  isFollowed,
  printLockJson,
  relativePathOf,
  sortedInputs,
  type LockJson,
  type LockNode,
} from "../../../../lang/index.ts";
import { StoreEndpoint, openRemoteStore, parseStorePath, type StorePath } from "../../../../store/index.ts";
import { copyAndTell } from "../../copyAndTell.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";
import { fetchLocked } from "./prefetchInputs.ts";

/** `nix flake archive`: a flake and all its inputs in the store. */
export async function archive(argv: readonly string[]): Promise<number> {
  let isJson = false;
  let to: string | undefined;
  let isDryRun = false;
  let checksSignatures = true;
  const layout: JsonLayout = { isPretty: undefined };
  const request = parseFlakeRequest("nix flake archive", argv, (word, next) => {
    if (word === "--json") isJson = true;
    else if (word === "--to") to = next();
    else if (word === "--dry-run") isDryRun = true;
    else if (word === "--no-check-sigs") checksSignatures = false;
    else return takeJsonLayout(layout, word);
    return true;
  });
  using command = new FlakeCommand(request);
  const { flake, lock } = command.lock();
  const { store } = command.context;
  const { storeDir } = store;
  const top = `${storeDir}/${flake.directory.slice(storeDir.length + 1).split("/")[0] ?? ""}`;
  const sources = new Set([parseStorePath(storeDir, top)]);
  const json = new Map<string, LockJson>([
    ["path", top],
    ["inputs", inputsOf(command, lock, sources)],
  ]);
  if (isJson) printJsonLine(printLockJson(json, "compact"), layout);
  if (to !== undefined && !isDryRun) {
    await using source = new StoreEndpoint(store);
    await using target = await openRemoteStore(command.context.settings, to, { isTarget: true });
    await copyAndTell({
      source,
      target,
      paths: sources,
      isRecursive: false,
      checksSignatures,
    });
  }
  return 0;
}

function inputsOf(command: FlakeCommand, node: LockNode, sources: Set<StorePath>): LockJson {
  const inputs = new Map<string, LockJson>();
  for (const [name, edge] of sortedInputs(node)) {
    if (isFollowed(edge) || edge.pin === undefined) continue;
    const fields = new Map<string, LockJson>();
    if (relativePathOf(edge.pin.locked) === undefined) {
      const path = fetchLocked(command, edge.pin.locked);
      sources.add(parseStorePath(command.context.settings.storeDir, path));
      fields.set("path", path);
    }
    inputs.set(name, fields.set("inputs", inputsOf(command, edge, sources)));
  }
  return inputs;
}
