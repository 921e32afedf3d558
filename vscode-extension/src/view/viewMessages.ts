/** What the extension and its environment view tell each other. No secret's value is in any of it. */
import type { ViewStrings } from "./viewStrings.ts";

export type ToView =
  | { readonly type: "init"; readonly strings: ViewStrings; readonly locale: string; readonly folder: string }
  | { readonly type: "model"; readonly model: ViewModel }
  /** Progress: the rest is as it was. */
  | { readonly type: "state"; readonly state: StateModel }
  | { readonly type: "closure"; readonly closure: ClosureState }
  /** For the live region. */
  | { readonly type: "announce"; readonly text: string };

/** Names and indexes only: the extension looks up what they stand for in the report that it holds. */
export type FromView =
  | { readonly type: "ready" }
  | { readonly type: "command"; readonly command: ViewCommand }
  | { readonly type: "loadClosure" }
  | { readonly type: "copyName" | "copyValue" | "openOrigin" | "openScript"; readonly name: string }
  | { readonly type: "copyElement"; readonly name: string; readonly index: number }
  | { readonly type: "copyStorePath"; readonly path: string };

export type ViewCommand =
  | "reload"
  | "cancel"
  | "enable"
  | "openSpec"
  | "openError"
  | "showLog"
  | "initialise"
  | "manageTrust";

export interface ViewModel {
  readonly folder: string;
  /** The environment's name; undefined: there is none. */
  readonly name: string | undefined;
  /** e.g. `-A pan`; empty: the spec's own. */
  readonly selection: string;
  readonly state: StateModel;
  /** The spec, as seen from the folder. */
  readonly spec: { readonly text: string; readonly canOpen: boolean } | undefined;
  readonly isPure: boolean;
  readonly warnings: readonly string[];
  /** Undefined: no environment is in use. */
  readonly reportId: string | undefined;
  readonly variables: readonly VariableModel[];
  /** Undefined: nothing has changed since the folder was opened. */
  readonly changes: ChangesModel | undefined;
  readonly scripts: readonly ScriptModel[];
  readonly searchPaths: SearchPathsModel;
}

export interface StateModel {
  readonly kind: "none" | "untrusted" | "disabled" | "loading" | "ready" | "stale" | "failed";
  readonly text: string;
  readonly progress?: { readonly text: string; readonly fraction: number | undefined } | undefined;
  readonly error?:
    | { readonly message: string; readonly hint: string | undefined; readonly where: string | undefined }
    | undefined;
}

export interface VariableModel {
  readonly name: string;
  readonly action: "set" | "prepend" | "unset";
  readonly isSecret: boolean;
  /** Undefined: it is a secret, or unset. */
  readonly value: ValueModel | undefined;
  /** Who set it. */
  readonly origin: string;
  /** Where, e.g. `shell.nix:12`. */
  readonly where: string | undefined;
}

export interface ValueModel {
  /** The beginning, where `isCut`. */
  readonly text: string;
  /** Of the whole value, in UTF-16 code units. */
  readonly length: number;
  readonly isCut: boolean;
  /** Some of its bytes are not UTF-8. */
  readonly isBinary: boolean;
  /** Of a list of paths. */
  readonly elements?: readonly string[] | undefined;
  /** Elements that are not in `elements`. */
  readonly moreElements: number;
}

export interface ChangesModel {
  readonly timeMs: number;
  readonly changes: readonly ChangeModel[];
  /** Changes that are not listed. */
  readonly more: number;
}

export interface ChangeModel {
  readonly name: string;
  readonly kind: "added" | "changed" | "removed";
  readonly isSecret: boolean;
  readonly before: SideModel | undefined;
  readonly after: SideModel | undefined;
  /** Of lists: what came and what went. */
  readonly elements: readonly { readonly kind: "added" | "removed"; readonly text: string }[];
}

export interface SideModel {
  readonly action: VariableModel["action"];
  readonly value: ValueModel | undefined;
}

export interface ScriptModel {
  readonly name: string;
  readonly text: string;
  readonly where: string | undefined;
}

export interface SearchPathsModel {
  readonly programs: readonly string[];
  readonly headers: readonly string[];
  readonly libraries: readonly string[];
  readonly pkgConfig: readonly string[];
  readonly compiler: string | undefined;
}

export type ClosureState =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "ready"; readonly closure: ClosureModel };

/** References and roots are indexes into `paths`; what a path is linked together from counts as its references. */
export interface ClosureModel {
  readonly paths: readonly {
    readonly path: string;
    readonly name: string;
    /** What it alone takes: their sum is the closure's. */
    readonly sizeBytes: number;
    readonly references: readonly number[];
  }[];
  readonly roots: readonly number[];
}
