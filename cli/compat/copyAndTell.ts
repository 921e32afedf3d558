import { StoreEndpoint, type CopyRequest, type RemoteStore } from "../../store/index.ts";
import { say } from "./output.ts";

/** Tells of copies in Nix's words: a store of this machine's own is not named. */
export function sayCopies(
  source: RemoteStore,
  target: RemoteStore,
): Pick<CopyRequest, "onPlan" | "onPath" | "onRetry"> {
  const from = source instanceof StoreEndpoint ? "" : ` from '${source.url}'`;
  const to = target instanceof StoreEndpoint ? "" : ` to '${target.url}'`;
  return {
    onPlan: (count) => say(`copying ${count} paths...`),
    onPath: (path) => say(`copying path '${path}'${from}${to}...`),
    onRetry: (message) => say(`warning: ${message}`),
  };
}
