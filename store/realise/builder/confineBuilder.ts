import { DevshellError } from "../../../core/index.ts";
import type { StoreSettings } from "../../types.ts";
import { startChild, startConfined, type BuilderChild, type ChildOrder } from "./builderChild.ts";
import { BuilderStarter } from "./builderStarter.ts";
import { canScopeSockets, filterObstacle } from "./filterCalls.ts";

export type StartBuilder = (order: ChildOrder) => Promise<BuilderChild>;

/**
 * How a builder is to be started: with its system calls filtered, as the option `filter-syscalls` says, and kept from
 * others' abstract sockets where it has the host's network and so these.
 * @throws {DevshellError} `BUILD_FILTER` where it cannot be filtered though the option is set
 */
export async function confineBuilder(
  { config }: StoreSettings,
  { hasNetwork }: { readonly hasNetwork: boolean },
): Promise<StartBuilder> {
  const wanted = config.raw.get("filter-syscalls");
  const obstacle = filterObstacle();
  if (wanted === "true" && obstacle !== undefined) throw refusal(obstacle);
  const isFiltered = wanted !== "false" && obstacle === undefined;
  const isScoped = hasNetwork && canScopeSockets();
  if (!isFiltered && !isScoped) return startChild;
  if (isScoped) return (order) => startConfined(order, { isFiltered, isScoped });
  const starter = await BuilderStarter.get();
  if (starter.obstacle === undefined) return (order) => starter.launch(order);
  if (wanted === "true") throw refusal(starter.obstacle);
  return startChild;
}

function refusal(obstacle: string): DevshellError {
  return new DevshellError("BUILD_FILTER", `Cannot filter the system calls of builders: ${obstacle}`, {
    hint: "without `filter-syscalls` builds run unfiltered where that is so",
  });
}
