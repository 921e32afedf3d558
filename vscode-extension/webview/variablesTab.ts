import type { VariableModel, ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element, iconButton } from "./dom.ts";
import { makeFilterBox, type FilterBox } from "./filterBox.ts";
import { post, savedState, saveState } from "./host.ts";
import { format, marked, pathText, visible } from "./text.ts";
import { variableDetails } from "./variableDetails.ts";
import { groupLabel, isList, makeVariableRows, valueLine, type VariableRow } from "./variableRows.ts";
import { VirtualGrid } from "./virtualGrid.ts";

const SAVED_TOGGLES = 200;

/** The table of variables, with its filter and the details of one. */
export class VariablesTab {
  readonly panel: HTMLElement;
  private readonly strings: ViewStrings;
  private readonly announce: (text: string) => void;
  private readonly filter: FilterBox;
  private readonly grid: VirtualGrid<VariableRow>;
  private readonly counter: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly group: HTMLButtonElement;
  private readonly split: HTMLElement;
  private variables: readonly VariableModel[] = [];
  /** What the filter looks in: the same order as `variables`. */
  private haystacks: readonly string[] = [];
  private query = "";
  private sort: "name" | "nameDown" | "origin" | "originDown" = "name";
  private isGrouped = false;
  private toggled: Set<string>;
  private detailed: string | undefined;
  private details: HTMLElement | undefined;

  constructor(strings: ViewStrings, announce: (text: string) => void) {
    this.strings = strings;
    this.announce = announce;
    const saved = savedState();
    this.isGrouped = saved.isGrouped === true;
    this.toggled = new Set(saved.expanded ?? ["variable PATH"]);
    if (saved.sort === "nameDown" || saved.sort === "origin" || saved.sort === "originDown")
      this.sort = saved.sort;
    this.filter = makeFilterBox(
      strings.filterVariables,
      strings.clearFilter,
      (text) => this.setQuery(text),
      () => this.grid.focus(),
    );
    this.counter = element("span", { class: "dim counter" });
    this.empty = element("p", { class: "empty", hidden: true });
    this.group = iconButton("group", strings.groupByOrigin, () => this.toggleGroups(), {
      "aria-pressed": this.isGrouped,
    });
    this.grid = new VirtualGrid<VariableRow>({
      role: "treegrid",
      label: strings.variables,
      cells: (row) => this.cells(row),
      actions: (row) => this.actions(row),
      onToggle: (row) => this.toggle([row.key]),
      onOpen: (row) =>
        row.kind === "variable" || row.kind === "element"
          ? this.open(row.variable.name)
          : this.toggle([row.key]),
      onKey: (row, event) => this.onKey(row, event),
      onCopy: (row) => this.copy(row),
    });
    this.split = element("div", { class: "split" }, this.grid.element);
    this.panel = element(
      "section",
      {
        on: {
          keydown: (event) => {
            if (event.key === "Escape") this.escape(event);
          },
        },
      },
      element(
        "div",
        { class: "toolbar" },
        this.filter.element,
        this.counter,
        element("span", { class: "spring" }),
        this.group,
        iconButton("expand", strings.expandAll, () => this.expandAll(true)),
        iconButton("collapse", strings.collapseAll, () => this.expandAll(false)),
      ),
      this.empty,
      this.split,
    );
    this.setColumns();
    if (saved.filter !== undefined && saved.filter !== "") {
      this.query = saved.filter.toLowerCase();
      this.filter.input.value = saved.filter;
    }
  }

  show({ variables }: ViewModel): void {
    this.variables = variables;
    this.haystacks = variables.map(({ name, value, origin }) =>
      `${name}\n${value?.text ?? ""}\n${origin}`.toLowerCase(),
    );
    this.render();
    this.showDetails();
  }

  focusFilter(): void {
    this.filter.input.select();
    this.filter.input.focus();
  }

  private setQuery(text: string): void {
    this.query = text.toLowerCase();
    saveState({ filter: text });
    const shown = this.render();
    this.announce(
      shown === 0
        ? this.strings.nothingMatches
        : format(this.strings.variablesShown, shown, this.variables.length),
    );
  }

  /** @returns how many variables are shown */
  private render(): number {
    const { strings, variables, query, haystacks } = this;
    const matching =
      query === "" ? [...variables] : variables.filter((_, index) => haystacks[index]?.includes(query));
    const direction = this.sort.endsWith("Down") ? -1 : 1;
    if (this.sort.startsWith("origin"))
      matching.sort((a, b) => direction * (compare(a.origin, b.origin) || compare(a.name, b.name)));
    else if (direction < 0) matching.reverse();
    const isNone = matching.length === 0;
    // Before the rows: what is hidden has no height to fill.
    this.split.hidden = isNone;
    this.grid.setRows(
      makeVariableRows({ variables: matching, isGrouped: this.isGrouped, toggled: this.toggled }, strings),
    );
    this.counter.textContent =
      query === ""
        ? format(strings.variablesCount, variables.length)
        : format(strings.variablesShown, matching.length, variables.length);
    this.empty.hidden = !isNone;
    if (isNone) this.empty.textContent = query === "" ? strings.noVariables : strings.nothingMatches;
    return matching.length;
  }

  private setColumns(): void {
    const { strings } = this;
    const sorted = (key: "name" | "origin") =>
      ({
        direction: this.sort === key ? "ascending" : this.sort === `${key}Down` ? "descending" : "none",
        onSort: () => {
          this.sort = this.sort === key ? `${key}Down` : key;
          saveState({ sort: this.sort });
          this.setColumns();
          this.render();
        },
      }) as const;
    this.grid.setColumns([
      { title: strings.name, className: "name", sort: sorted("name") },
      { title: strings.value, className: "value" },
      { title: strings.origin, className: "origin", sort: sorted("origin") },
    ]);
  }

  private cells(row: VariableRow): Node[] {
    const { strings, query } = this;
    switch (row.kind) {
      case "group":
        return [groupLabel(row)];
      case "note":
        return [element("span", { class: "note" }, row.text)];
      case "element":
        return [
          row.text === ""
            ? element("span", { class: "note" }, strings.emptyElement)
            : element("span", { class: "path" }, pathText(row.text, query)),
        ];
      case "variable": {
        const { variable } = row;
        const origin = document.createDocumentFragment();
        origin.append(marked(visible(variable.origin), query));
        if (variable.where !== undefined)
          origin.append(" ", element("span", { class: "dim where" }, visible(variable.where)));
        return [marked(visible(variable.name), query), valueLine(variable, strings, query), origin];
      }
    }
  }

  private actions(row: VariableRow): Node[] {
    const { strings } = this;
    if (row.kind === "element") return [iconButton("copy", strings.copyElement, () => this.copy(row))];
    if (row.kind !== "variable") return [];
    const { name, action, isSecret, where } = row.variable;
    return [
      ...(where === undefined
        ? []
        : [
            iconButton("goTo", format(strings.openOrigin, visible(where)), () =>
              post({ type: "openOrigin", name }),
            ),
          ]),
      iconButton("tag", strings.copyName, () => post({ type: "copyName", name })),
      ...(action === "unset"
        ? []
        : [
            iconButton(isSecret ? "lock" : "copy", isSecret ? strings.copySecret : strings.copyValue, () =>
              post({ type: "copyValue", name }),
            ),
          ]),
    ];
  }

  private copy(row: VariableRow): void {
    if (row.kind === "element") post({ type: "copyElement", name: row.variable.name, index: row.index });
    // A secret is copied by its own button alone, never by a habit of the fingers.
    else if (row.kind === "variable" && row.variable.isSecret) this.announce(this.strings.secretHint);
    else if (row.kind === "variable" && row.variable.action !== "unset")
      post({ type: "copyValue", name: row.variable.name });
  }

  private onKey(row: VariableRow, event: KeyboardEvent): boolean {
    if (row.kind !== "variable" && row.kind !== "element") return false;
    const { name, where } = row.variable;
    if (event.altKey && event.shiftKey && event.code === "KeyC") post({ type: "copyName", name });
    else if (event.key === "F12" && where !== undefined) post({ type: "openOrigin", name });
    else return false;
    return true;
  }

  private toggle(keys: readonly string[]): void {
    for (const key of keys) if (!this.toggled.delete(key)) this.toggled.add(key);
    this.saveToggles();
    this.render();
  }

  private expandAll(isExpanded: boolean): void {
    this.toggled = new Set([
      ...(isExpanded
        ? this.variables.filter(({ value }) => isList(value)).map(({ name }) => `variable ${name}`)
        : []),
      ...(isExpanded ? [] : this.variables.map(({ origin }) => `group ${origin}`)),
    ]);
    this.saveToggles();
    this.render();
  }

  private saveToggles(): void {
    saveState({ expanded: [...this.toggled].slice(0, SAVED_TOGGLES) });
  }

  private toggleGroups(): void {
    this.isGrouped = !this.isGrouped;
    this.group.setAttribute("aria-pressed", String(this.isGrouped));
    saveState({ isGrouped: this.isGrouped });
    this.render();
  }

  private open(name: string): void {
    this.detailed = this.detailed === name ? undefined : name;
    this.showDetails();
  }

  private showDetails(): void {
    const variable = this.variables.find(({ name }) => name === this.detailed);
    const hadFocus = this.details?.contains(document.activeElement) === true;
    // The grid must not be put in anew: it would lose focus and place.
    this.details?.remove();
    this.details = variable && variableDetails(variable, this.strings, () => this.closeDetails());
    if (this.details !== undefined) this.split.append(this.details);
    if (hadFocus) this.grid.focus();
  }

  private closeDetails(): void {
    this.detailed = undefined;
    this.showDetails();
    this.grid.focus();
  }

  private escape(event: KeyboardEvent): void {
    if (this.detailed !== undefined) this.closeDetails();
    else if (this.query !== "") this.filter.set("");
    else return;
    event.stopPropagation();
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
