import { shownUrl } from "../../core/index.ts";
import type { ByteString } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { canonicalPath, type Runtime } from "../value/index.ts";
import { fetchInput } from "./fetchInput.ts";
import { readFlake } from "./flakeFile.ts";
import { formatFlakeReference, type FlakeAttributes } from "./flakeReference.ts";
import type { InputPath } from "./lockFile.ts";
import { isSameAttributes, type FlakeReference } from "./reference.ts";
import type { Flake, RegistryScope } from "./types.ts";

/** A reference's tree in the store. */
export interface FetchedReference {
  readonly resolved: FlakeReference;
  readonly locked: FlakeReference;
  readonly storePath: ByteString;
}

/** Looks an indirect reference up, and fetches the tree. @throws EvalError, DevshellError */
export function fetchReference(
  runtime: Runtime,
  reference: FlakeReference,
  scope: RegistryScope,
): FetchedReference {
  const resolved = resolveReference(runtime, reference, scope);
  const { attributes, storePath } = fetchTree(runtime, resolved.attributes);
  return { resolved, storePath, locked: { attributes, dir: resolved.dir } };
}

/** The direct reference that an indirect one stands for. @throws EvalError */
export function resolveReference(
  runtime: Runtime,
  reference: FlakeReference,
  scope: RegistryScope,
): FlakeReference {
  if (reference.attributes.get("type") !== "indirect") return reference;
  const { host } = runtime;
  if (scope === "none" || host.resolveFlake === undefined)
    throw failure(
      `'${formatFlakeReference(reference.attributes)}' is an indirect flake reference, but registry lookups are not allowed`,
    );
  const found = host.resolveFlake(reference.attributes, scope);
  return { attributes: found.attributes, dir: found.dir ?? reference.dir };
}

/** Fetches a tree; what was found out about it is in the attributes, as a lock file has them. */
function fetchTree(
  runtime: Runtime,
  given: FlakeAttributes,
): { readonly attributes: FlakeAttributes; readonly storePath: ByteString } {
  const { attributes: input, reference } = fetchInput(given);
  const kind = input.get("type") === "git" ? "git" : "tree";
  const result = runtime.host.fetch({ kind, attributes: input, reference, isLocking: true });
  const attributes = new Map(result.attributes);
  // a fetcher's default, which is not part of the reference
  if (!input.has("submodules")) attributes.delete("submodules");
  if (result.revCount !== undefined) attributes.set("revCount", result.revCount());
  return { attributes, storePath: result.storePath };
}

const SELF_ATTRIBUTES = new Set(["submodules", "lfs"]);

/**
 * Fetches a flake and reads its `flake.nix`.
 * @param lockPath what `follows` in it is relative to
 * @throws EvalError, DevshellError
 */
export function fetchFlake(
  runtime: Runtime,
  original: FlakeReference,
  scope: RegistryScope,
  lockPath: InputPath = [],
): Flake {
  const { resolved, locked, storePath } = fetchReference(runtime, original, scope);
  const read = (pinned: FlakeReference, root: ByteString): Flake =>
    readFlake(runtime, {
      original,
      resolved,
      locked: pinned,
      directory: flakeDirectory(root, resolved.dir),
      lockPath,
    });
  const flake = read(locked, storePath);
  const attributes: FlakeAttributes = new Map(locked.attributes);
  for (const [name, value] of flake.selfAttributes) {
    if (!SELF_ATTRIBUTES.has(name)) throw failure(`flake 'self' attribute '${name}' is not supported`);
    attributes.set(name, value);
  }
  if (isSameAttributes(attributes, locked.attributes)) return flake;
  runtime.host.debug?.(
    `refetching input '${shownUrl(formatFlakeReference(attributes))}' due to self attribute`,
  );
  attributes.delete("narHash");
  const again = fetchTree(runtime, attributes);
  return read({ attributes: again.attributes, dir: locked.dir }, again.storePath);
}

export function flakeDirectory(root: ByteString, dir: ByteString): ByteString {
  return canonicalPath(`${root}/${dir}`);
}
