import type { ValueModel, VariableModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element } from "./dom.ts";
import { count, format, marked, pathText, visible } from "./text.ts";
import type { GridRow } from "./virtualGrid.ts";

export type VariableRow = GridRow &
  (
    | { readonly kind: "group"; readonly origin: string; readonly size: number }
    | { readonly kind: "variable"; readonly variable: VariableModel }
    | {
        readonly kind: "element";
        readonly variable: VariableModel;
        readonly text: string;
        readonly index: number;
      }
    | { readonly kind: "note"; readonly text: string }
  );

export interface RowsInput {
  /** In the order to show. */
  readonly variables: readonly VariableModel[];
  readonly isGrouped: boolean;
  /** Keys of rows that are not as they are at first: variables expanded, groups collapsed. */
  readonly toggled: ReadonlySet<string>;
}

/** The rows in sight of the tree: groups, variables, elements of lists. */
export function makeVariableRows(
  { variables, isGrouped, toggled }: RowsInput,
  strings: ViewStrings,
): VariableRow[] {
  if (!isGrouped) return variables.flatMap((variable) => variableRows(variable, 1, toggled, strings));
  return [...Map.groupBy(variables, ({ origin }) => origin)].flatMap(([origin, members]) => {
    const key = `group ${origin}`;
    const isExpanded = !toggled.has(key);
    return [
      { kind: "group", key, level: 1, isExpanded, origin, size: members.length },
      ...(isExpanded ? members.flatMap((variable) => variableRows(variable, 2, toggled, strings)) : []),
    ] satisfies VariableRow[];
  });
}

export function isList(value: ValueModel | undefined): boolean {
  return value?.elements !== undefined && value.elements.length + value.moreElements > 1;
}

/** The value in one line, as it stands in its cell. */
export function valueLine(
  variable: Pick<VariableModel, "action" | "isSecret" | "value">,
  strings: ViewStrings,
  query: string,
): Node {
  if (variable.action === "unset") return element("span", { class: "note" }, strings.unset);
  if (variable.isSecret)
    return element("span", { class: "mask", role: "img", "aria-label": strings.secret }, "••••••••");
  const { value } = variable;
  if (value === undefined || value.text === "") return element("span", { class: "note" }, strings.empty);
  if (isList(value)) {
    const size = (value.elements?.length ?? 0) + value.moreElements;
    const fragment = document.createDocumentFragment();
    fragment.append(
      element("span", { class: "size-note" }, format(strings.elementCount, size)),
      // Heard as two words, too.
      " ",
      marked(visible(value.text.slice(0, CELL_LENGTH)), query),
    );
    return fragment;
  }
  return pathText(value.text.slice(0, CELL_LENGTH), query);
}

/** More than a cell can show; what the filter finds behind it is seen in the details. */
const CELL_LENGTH = 500;

export function groupLabel(row: Extract<VariableRow, { kind: "group" }>): Node {
  const fragment = document.createDocumentFragment();
  fragment.append(visible(row.origin), " ", element("span", { class: "badge" }, count(row.size)));
  return fragment;
}

function variableRows(
  variable: VariableModel,
  level: number,
  toggled: ReadonlySet<string>,
  strings: ViewStrings,
): VariableRow[] {
  const key = `variable ${variable.name}`;
  if (!isList(variable.value)) return [{ kind: "variable", key, level, variable }];
  const isExpanded = toggled.has(key);
  const row: VariableRow = { kind: "variable", key, level, isExpanded, variable };
  if (!isExpanded) return [row];
  const { elements = [], moreElements = 0 } = variable.value ?? {};
  return [
    row,
    ...elements.map((text, index): VariableRow => ({
      kind: "element",
      key: `${key} ${index}`,
      level: level + 1,
      variable,
      text,
      index,
    })),
    ...(moreElements === 0
      ? []
      : [noteRow(`${key} more`, level + 1, format(strings.moreElements, moreElements))]),
    ...(variable.action === "prepend" ? [noteRow(`${key} own`, level + 1, strings.ownValue)] : []),
  ];
}

function noteRow(key: string, level: number, text: string): VariableRow {
  return { kind: "note", key, level, text };
}
