import type { ClosureModel, ClosureNode } from "./closureModel.ts";

export type SortOrder = "own size" | "closure size" | "name";

/** A list of paths that is looked at: all, or what one of them needs, or is needed by. */
export interface Place {
  readonly kind: "all" | "needs" | "needed by";
  /** Whose, unless all. */
  readonly path: string | undefined;
  readonly selected: number;
}

export interface BrowserState {
  /** How one came here; the last is shown. */
  readonly trail: readonly Place[];
  readonly order: SortOrder;
  /** Only names that contain this. */
  readonly filter: string;
  /** Keys go to the filter. */
  readonly isFiltering: boolean;
}

export type BrowserAction =
  | { readonly kind: "move"; readonly by: number }
  /** Into what the selected path needs, or what needs it. */
  | { readonly kind: "enter"; readonly direction: "needs" | "needed by" }
  | { readonly kind: "back" }
  | { readonly kind: "sort" }
  | { readonly kind: "startFilter" }
  | { readonly kind: "type"; readonly text: string }
  | { readonly kind: "erase" }
  | { readonly kind: "endFilter"; readonly isKept: boolean };

export const START: BrowserState = {
  trail: [{ kind: "all", path: undefined, selected: 0 }],
  order: "own size",
  filter: "",
  isFiltering: false,
};

const ORDERS: readonly SortOrder[] = ["own size", "closure size", "name"];

/** What is shown now, in order. */
export function nodesShown(model: ClosureModel, state: BrowserState): readonly ClosureNode[] {
  const { kind, path } = placeOf(state);
  const nodes =
    kind === "all" || path === undefined
      ? model.all()
      : kind === "needs"
        ? model.referencesOf(path)
        : model.referrersOf(path);
  const wanted = state.filter.toLowerCase();
  const found = wanted === "" ? nodes : nodes.filter(({ name }) => name.toLowerCase().includes(wanted));
  const byName = (a: ClosureNode, b: ClosureNode): number =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.path < b.path ? -1 : 1;
  switch (state.order) {
    case "name":
      return found.toSorted(byName);
    case "own size":
      return found.toSorted((a, b) => b.sizeBytes - a.sizeBytes || byName(a, b));
    case "closure size":
      return found.toSorted(
        (a, b) => model.closureBytesOf(b.path) - model.closureBytesOf(a.path) || byName(a, b),
      );
  }
}

export function placeOf({ trail }: BrowserState): Place {
  const place = trail.at(-1);
  if (place === undefined) throw new Error("the trail never ends before its start");
  return place;
}

export function reduceBrowser(model: ClosureModel, state: BrowserState, action: BrowserAction): BrowserState {
  switch (action.kind) {
    case "move":
      return select(model, state, placeOf(state).selected + action.by);
    case "enter": {
      const node = nodesShown(model, state)[placeOf(state).selected];
      if (node === undefined) return state;
      const place: Place = { kind: action.direction, path: node.path, selected: 0 };
      return { ...state, trail: [...state.trail, place], filter: "" };
    }
    case "back":
      if (state.filter !== "") return select(model, { ...state, filter: "" }, 0);
      return state.trail.length === 1 ? state : { ...state, trail: state.trail.slice(0, -1) };
    case "sort": {
      const order = ORDERS[(ORDERS.indexOf(state.order) + 1) % ORDERS.length] ?? "own size";
      return select(model, { ...state, order }, 0);
    }
    case "startFilter":
      return { ...state, isFiltering: true };
    case "type":
      return select(model, { ...state, filter: state.filter + action.text }, 0);
    case "erase":
      return select(model, { ...state, filter: state.filter.replace(/.$/su, "") }, 0);
    case "endFilter":
      return select(model, { ...state, isFiltering: false, filter: action.isKept ? state.filter : "" }, 0);
  }
}

function select(model: ClosureModel, state: BrowserState, wanted: number): BrowserState {
  const last = nodesShown(model, state).length - 1;
  const selected = Math.max(0, Math.min(wanted, last));
  return { ...state, trail: [...state.trail.slice(0, -1), { ...placeOf(state), selected }] };
}
