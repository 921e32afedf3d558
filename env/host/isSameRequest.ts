import type { InstantiateRequest } from "../../lang/index.ts";

/**
 * Whether a request asks for the derivation that was made of an earlier one of the same name. One whose builder says
 * itself what its outputs are, or that sets an output's variable, is taken for another.
 * @param made the earlier one: its variables are the derivation's now, with the outputs'
 */
export function isSameRequest(made: InstantiateRequest, asked: InstantiateRequest): boolean {
  return (
    made.env.size === asked.env.size + asked.outputs.length &&
    isWithin(asked.env, made.env) &&
    isSameSet(made.context, asked.context) &&
    isSameList(made.args, asked.args) &&
    isSameList(made.outputs, asked.outputs) &&
    made.system === asked.system &&
    made.builder === asked.builder &&
    made.isSubmittingOutputs === asked.isSubmittingOutputs &&
    isSameKind(made.kind, asked.kind)
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

function isWithin(part: ReadonlyMap<string, string>, whole: ReadonlyMap<string, string>): boolean {
  for (const key of part.keys()) if (part.get(key) !== whole.get(key)) return false;
  return true;
}
