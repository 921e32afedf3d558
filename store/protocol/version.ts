/** A version of the worker protocol, 1.x, and what both sides can do beyond it. */
export interface ProtocolVersion {
  readonly minor: number;
  readonly features: ReadonlySet<string>;
}

export const CLIENT_MAGIC = 0x6e697863;
export const SERVER_MAGIC = 0x6478696f;
const MAJOR = 1;

export const FEATURE = {
  /** Realisations by the derivation's path, not by its hash. */
  realisationWithPath: "realisation-with-path-not-hash",
  /** The server takes no settings. */
  disableSetOptions: "disable-set-options",
  /** Who is a builder may add what is looked through for references. */
  addToStoreScanning: "add-to-store-scanning",
  /** Who is a builder says what its outputs are. */
  submitOutput: "submit-output",
  /** The server has the builders of the collection `<debian>`: it is one of ours. */
  ownBuilders: "devshell-debian-builders",
} as const;

export const LATEST: ProtocolVersion = {
  minor: 38,
  features: new Set([FEATURE.realisationWithPath, FEATURE.ownBuilders]),
};
/** What clients offer: some servers have more for builders. */
export const LATEST_OF_CLIENTS: ProtocolVersion = {
  minor: LATEST.minor,
  features: new Set([
    ...LATEST.features,
    FEATURE.disableSetOptions,
    FEATURE.addToStoreScanning,
    FEATURE.submitOutput,
  ]),
};
/** The oldest that Nix's own daemons served (2.18 and before). */
export const OLDEST_MINOR = 10;
/** Features are named from here on. */
export const FEATURES_SINCE = 38;

export function versionNumber(minor: number): number {
  return (MAJOR << 8) | minor;
}

/** @returns `undefined` for a protocol that is not 1.x */
export function minorOf(number: number): number | undefined {
  return number >> 8 === MAJOR ? number & 0xff : undefined;
}

export function commonFeatures(a: Iterable<string>, b: Iterable<string>): ReadonlySet<string> {
  const known = new Set(b);
  return new Set([...a].filter((feature) => known.has(feature)));
}

/** The operations that a client asks for, by their numbers. */
export const OPERATION = {
  isValidPath: 1,
  hasSubstitutes: 3,
  queryPathHash: 4,
  queryReferences: 5,
  queryReferrers: 6,
  addToStore: 7,
  addTextToStore: 8,
  buildPaths: 9,
  ensurePath: 10,
  addTempRoot: 11,
  addIndirectRoot: 12,
  syncWithGc: 13,
  findRoots: 14,
  exportPath: 16,
  queryDeriver: 18,
  setOptions: 19,
  collectGarbage: 20,
  querySubstitutablePathInfo: 21,
  queryDerivationOutputs: 22,
  queryAllValidPaths: 23,
  queryFailedPaths: 24,
  clearFailedPaths: 25,
  queryPathInfo: 26,
  importPaths: 27,
  queryDerivationOutputNames: 28,
  queryPathFromHashPart: 29,
  querySubstitutablePathInfos: 30,
  queryValidPaths: 31,
  querySubstitutablePaths: 32,
  queryValidDerivers: 33,
  optimiseStore: 34,
  verifyStore: 35,
  buildDerivation: 36,
  addSignatures: 37,
  narFromPath: 38,
  addToStoreNar: 39,
  queryMissing: 40,
  queryDerivationOutputMap: 41,
  registerDrvOutput: 42,
  queryRealisation: 43,
  addMultipleToStore: 44,
  addBuildLog: 45,
  buildPathsWithResults: 46,
  addPermRoot: 47,
  submitOutput: 1000,
  addToStoreScanning: 1001,
} as const;
export type OperationName = keyof typeof OPERATION;

const NAMES: ReadonlyMap<number, OperationName> = new Map(
  Object.entries(OPERATION).map(([name, number]) => [number, name as OperationName]),
);

export function operationName(number: number): OperationName | undefined {
  return NAMES.get(number);
}
