import type { EnvironmentRequest } from "../env/index.ts";
import { notBuilt } from "./notBuilt.ts";
import type { OpenedEnvironment } from "./openEnvironment.ts";
import type { Work } from "./withDisplay.ts";

export interface MakeOptions extends Work {
  /** `nix.conf` options from the command line. */
  readonly settings: ReadonlyMap<string, string>;
}

export function makeEnvironment(
  _request: EnvironmentRequest,
  _options: MakeOptions,
): Promise<OpenedEnvironment> {
  return Promise.reject(notBuilt("the evaluation of a spec"));
}
