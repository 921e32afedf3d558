import type { InstantiateRequest } from "../../lang/index.ts";

/** Whether two requests for derivations of one name give the same derivation: whether all else is the same, too. */
export function isSameRequest(a: InstantiateRequest, b: InstantiateRequest): boolean {
  return (
    isSameMap(a.env, b.env) &&
    isSameSet(a.context, b.context) &&
    isSameList(a.args, b.args) &&
    isSameList(a.outputs, b.outputs) &&
    a.system === b.system &&
    a.builder === b.builder &&
    a.isSubmittingOutputs === b.isSubmittingOutputs &&
    isSameKind(a.kind, b.kind)
  );
}

function isSameKind(a: InstantiateRequest["kind"], b: InstantiateRequest["kind"]): boolean {
  if (a.kind === "inputAddressed") return b.kind === "inputAddressed";
  if (a.kind === "fixed")
    return (
      b.kind === "fixed" &&
      a.method === b.method &&
      a.hash.algorithm === b.hash.algorithm &&
      a.hash.digest.equals(b.hash.digest)
    );
  return a.kind === b.kind && a.method === b.method && a.algorithm === b.algorithm;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const item of a) if (!b.has(item)) return false;
  return true;
}

function isSameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) if (a.get(key) !== b.get(key)) return false;
  return true;
}
