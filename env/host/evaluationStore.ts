import type { ByteString, Hash } from "../../core/index.ts";
import type { Derivation, MadeDerivation, StorePath } from "../../store/index.ts";

/** What evaluation needs of a store; a local store has it all, tests have a small one in memory. */
export interface EvaluationStore {
  readonly storeDir: string;
  /** Where the store's files lie on this side of a mount namespace. */
  readonly realStoreDir: string;
  addPath(path: ByteString, options: EvaluationAddOptions): StorePath;
  addText(
    name: ByteString,
    contents: ByteString,
    references: readonly StorePath[],
    options: { readonly isDryRun: boolean },
  ): StorePath;
  /** In order: inputs before users. */
  writeDerivations(all: Iterable<MadeDerivation>): void;
  isValidPath(path: StorePath): boolean;
  /** `undefined` where the path is not valid. */
  referencesOf(path: StorePath): readonly StorePath[] | undefined;
  readDerivation(drvPath: StorePath): Derivation;
}

export interface EvaluationAddOptions {
  readonly name: string;
  readonly method: "nar" | "flat";
  readonly filter?:
    | ((path: ByteString, type: "regular" | "directory" | "symlink" | "unknown") => boolean)
    | undefined;
  readonly expectedHash?: Hash | undefined;
  /** What the copy refers to, where it is known. */
  readonly references?: readonly StorePath[] | undefined;
  readonly isDryRun: boolean;
}
