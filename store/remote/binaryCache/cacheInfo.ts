/** The file at a binary cache's root. */
export const CACHE_INFO_FILE = "nix-cache-info";

/** What a binary cache says of itself. */
export interface CacheInfo {
  readonly storeDir: string | undefined;
  readonly wantsMassQuery: boolean | undefined;
  readonly priority: number | undefined;
}

/** Lines that are not understood are passed over, as Nix does; the last of a name counts. */
export function parseCacheInfo(text: string): CacheInfo {
  const fields = new Map(
    text.split("\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
  const wanted = fields.get("WantMassQuery");
  const priority = fields.get("Priority") ?? "";
  return {
    storeDir: fields.get("StoreDir"),
    wantsMassQuery: wanted === undefined ? undefined : wanted === "1",
    priority: /^-?\d{1,9}$/.test(priority) ? Number(priority) : undefined,
  };
}

/** As Nix begins a cache. */
export function printCacheInfo(storeDir: string): string {
  return `StoreDir: ${storeDir}\n`;
}
