import type { OperationName } from "../../protocol/version.ts";
import type { Operation } from "../session.ts";
import { adding } from "./adding.ts";
import { ofBuilders } from "./ofBuilders.ts";
import { building } from "./building.ts";
import { queries } from "./queries.ts";
import { sending } from "./sending.ts";
import { upkeep } from "./upkeep.ts";

type Operations = Readonly<Partial<Record<OperationName, Operation>>>;

/** What builders that use the store may ask for; what they see of it is the session's affair. */
export const restricted: Operations = {
  ...pick(queries, [
    "isValidPath",
    "hasSubstitutes",
    "queryValidPaths",
    "queryAllValidPaths",
    "queryPathInfo",
    "queryPathHash",
    "queryReferences",
    "queryDeriver",
    "queryReferrers",
    "queryValidDerivers",
    "queryDerivationOutputs",
    "queryDerivationOutputNames",
    "queryDerivationOutputMap",
    "queryPathFromHashPart",
    "queryRealisation",
    "querySubstitutablePaths",
    "querySubstitutablePathInfo",
    "querySubstitutablePathInfos",
  ]),
  ...pick(adding, [
    "addToStore",
    "addTextToStore",
    "addToStoreNar",
    "addMultipleToStore",
    "addTempRoot",
    "addIndirectRoot",
  ]),
  ...pick(ofBuilders, ["addToStoreScanning"]),
  ...pick(building, ["buildPaths", "buildPathsWithResults", "ensurePath", "queryMissing"]),
  ...pick(sending, ["narFromPath"]),
  ...pick(upkeep, ["setOptions", "findRoots", "syncWithGc"]),
};

/** What builders may ask for that say themselves what their outputs are: what depends on nothing but their inputs. */
export const submitting: Operations = {
  ...pick(queries, ["isValidPath", "queryValidPaths"]),
  ...pick(adding, ["addToStore", "addTextToStore", "addToStoreNar", "addMultipleToStore", "addTempRoot"]),
  ...ofBuilders,
};

function pick(operations: Operations, names: readonly OperationName[]): Operations {
  const picked: Partial<Record<OperationName, Operation>> = {};
  for (const name of names) {
    const operation = operations[name];
    if (operation !== undefined) picked[name] = operation;
  }
  return picked;
}
