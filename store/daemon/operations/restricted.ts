import type { OperationName } from "../../protocol/version.ts";
import type { Operation } from "../session.ts";
import { adding } from "./adding.ts";
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
  ...pick(building, ["buildPaths", "buildPathsWithResults", "ensurePath", "queryMissing"]),
  ...pick(sending, ["narFromPath"]),
  ...pick(upkeep, ["setOptions", "findRoots", "syncWithGc"]),
};

function pick(operations: Operations, names: readonly OperationName[]): Operations {
  const picked: Partial<Record<OperationName, Operation>> = {};
  for (const name of names) {
    const operation = operations[name];
    if (operation !== undefined) picked[name] = operation;
  }
  return picked;
}
