import { join } from "node:path";
import { bytesOfText, packageRoot, type ByteString } from "../../core/index.ts";
import type { InputTracker } from "../inputTracker.ts";
import type { StoreContext } from "../storeContext.ts";
import type { EvalRecord } from "./types.ts";

/** What an evaluation's result depends on; undefined where it cannot be kept. */
export function evaluationFacts(
  context: StoreContext,
): Pick<EvalRecord, "inputs" | "required" | "globals"> | undefined {
  const { tracker, settings } = context;
  if (tracker.impurity !== undefined || settings.config.raw.get("eval-cache") === "false") return undefined;
  trackPrograms(tracker);
  const { storeDir, realStoreDir = storeDir } = settings;
  const realPath = (path: ByteString): ByteString => realStoreDir + path.slice(storeDir.length);
  for (const path of tracker.storePaths) tracker.object(realPath(path));
  const globals = tracker.outlines?.globals ?? [];
  return { inputs: tracker.inputsWithOutlines, globals, required: context.createdRoots().map(realPath) };
}

/** Another Node or another bundle may answer otherwise; another machine's system may be another. */
function trackPrograms(tracker: InputTracker): void {
  for (const path of [process.execPath, ...BUNDLES.map((name) => join(packageRoot, name))])
    tracker.program(bytesOfText(path));
  tracker.existence(MACHINE);
  tracker.file(MACHINE);
}

const BUNDLES = ["cli/devshell", "dist/main.mjs", "dist/quickProcess.cjs", "dist/quickSnapshot.blob"];
const MACHINE = "/etc/machine-id";
