import { DevshellError, formatHash } from "../../core/index.ts";
import { derivationKind } from "../format/derivation.ts";
import { olderDerivationHash } from "../format/olderRealisation.ts";
import type { Derivation, StorePath } from "../types.ts";

/** Where derivations are whose outputs' paths were found out. */
export interface RealisedDerivations {
  /** @param after the number of the last one that is known; later ones have greater ones */
  realisedDerivations(after: number): readonly { readonly id: number; readonly drvPath: StorePath }[];
  readDerivation(drvPath: StorePath): Derivation;
}

/** Derivations by the hash that a Nix up to 2.34 names them by; each is read once. */
export class OlderRealisations {
  readonly #store: RealisedDerivations;
  readonly #byHash = new Map<string, StorePath>();
  #readUpTo = 0;

  constructor(store: RealisedDerivations) {
    this.#store = store;
  }

  /** @param base16 the hash's digits */
  derivationOf(base16: string): StorePath | undefined {
    return this.#byHash.get(base16) ?? (this.#readNew() ? this.#byHash.get(base16) : undefined);
  }

  #readNew(): boolean {
    const found = this.#store.realisedDerivations(this.#readUpTo);
    for (const { id, drvPath } of found) {
      this.#readUpTo = Math.max(this.#readUpTo, id);
      const derivation = this.#read(drvPath);
      if (derivation !== undefined)
        this.#byHash.set(formatHash(olderDerivationHash(derivation), "base16"), drvPath);
    }
    return found.length > 0;
  }

  /** One whose inputs are derivations is known by what it was resolved to, which is another one. */
  #read(drvPath: StorePath): Derivation | undefined {
    try {
      const derivation = this.#store.readDerivation(drvPath);
      const isResolved = derivation.inputDrvs.size === 0;
      return isResolved && derivationKind(derivation) === "contentAddressed" ? derivation : undefined;
    } catch (error) {
      // Collected since.
      if (error instanceof DevshellError) return undefined;
      throw error;
    }
  }
}
