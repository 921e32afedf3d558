import type { ByteString } from "../../../core/index.ts";
import { addFrame, calls, isCatchable } from "../../../lang/index.ts";
import type { StorePath } from "../../../store/index.ts";
import { say } from "../output.ts";
import type { VersionComparison } from "./compareToSet.ts";
import type { EnvPackage } from "./envPackage.ts";

/** What the store and the substituters know of paths. */
export interface PathStates {
  readonly installed: ReadonlySet<StorePath>;
  readonly valid: ReadonlySet<StorePath>;
  readonly substitutable: ReadonlySet<StorePath>;
}

/** A package with what the options ask of it. */
export interface ListedPackage {
  readonly package: EnvPackage;
  readonly states: PathStates | undefined;
  readonly comparison: VersionComparison | undefined;
}

/** Runs something for a package: what throws or fails an assertion is passed over, other failures say whose they are. */
export function ofEach(each: EnvPackage, run: () => void): void {
  if (each.hasFailed) return;
  const { depth } = calls;
  try {
    run();
  } catch (error) {
    if (!isCatchable(error)) throw addFrame(error, `while querying the derivation named '${each.name}'`);
    calls.depth = depth;
  }
}

/** Of a package's invalid metadata. */
export function sayInvalidMeta(each: EnvPackage, name: ByteString): void {
  say(`derivation '${each.name}' has invalid meta attribute '${name}'`);
}
