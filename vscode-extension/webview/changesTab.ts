import type { ChangeModel, ChangesModel, ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element } from "./dom.ts";
import { post } from "./host.ts";
import { count, format, pathText, time, visible } from "./text.ts";
import { valueLine } from "./variableRows.ts";
import { VirtualGrid, type GridRow } from "./virtualGrid.ts";

type ChangeRow = GridRow &
  (
    | { readonly kind: "group"; readonly title: string; readonly size: number }
    | { readonly kind: "change"; readonly change: ChangeModel }
    | {
        readonly kind: "element";
        readonly isAdded: boolean;
        readonly text: string;
        readonly change: ChangeModel;
      }
    | { readonly kind: "note"; readonly text: string }
  );

/** What the last reload changed. */
export class ChangesTab {
  readonly panel: HTMLElement;
  private readonly strings: ViewStrings;
  private readonly grid: VirtualGrid<ChangeRow>;
  private readonly title: HTMLElement;
  private readonly empty: HTMLElement;
  private changes: ChangesModel | undefined;
  private readonly collapsed = new Set<string>();

  constructor(strings: ViewStrings) {
    this.strings = strings;
    this.title = element("h2", { class: "toolbar-title" });
    this.empty = element(
      "div",
      { class: "empty" },
      element("p", {}, strings.noChanges),
      element("p", { class: "dim" }, strings.noChangesHint),
    );
    this.grid = new VirtualGrid<ChangeRow>({
      role: "treegrid",
      label: strings.changes,
      cells: (row) => this.cells(row),
      onToggle: (row) => {
        if (!this.collapsed.delete(row.key)) this.collapsed.add(row.key);
        this.render();
      },
      onCopy: (row) => {
        if (row.kind !== "change" && row.kind !== "element") return;
        const { name, isSecret, after } = row.change;
        const hasValue = !isSecret && after !== undefined && after.action !== "unset";
        post({ type: hasValue ? "copyValue" : "copyName", name });
      },
    });
    this.grid.setColumns([
      { title: strings.name, className: "name" },
      { title: strings.before, className: "before" },
      { title: strings.after, className: "after" },
    ]);
    this.panel = element(
      "section",
      {},
      element("div", { class: "toolbar" }, this.title),
      this.empty,
      element("div", { class: "split" }, this.grid.element),
    );
  }

  show({ changes }: ViewModel): void {
    if (changes?.timeMs !== this.changes?.timeMs) this.collapsed.clear();
    this.changes = changes;
    this.render();
  }

  private render(): void {
    const { changes, strings } = this;
    const isNone = changes === undefined || changes.changes.length === 0;
    this.empty.hidden = !isNone;
    this.grid.element.hidden = isNone;
    this.title.textContent = changes === undefined ? "" : format(strings.changesAt, time(changes.timeMs));
    this.title.parentElement?.toggleAttribute("hidden", isNone);
    this.grid.setRows(changes === undefined ? [] : this.rows(changes));
  }

  private rows({ changes, more }: ChangesModel): ChangeRow[] {
    const { strings, collapsed } = this;
    const rows: ChangeRow[] = [];
    const titles = { added: strings.added, changed: strings.changed, removed: strings.removed };
    for (const kind of ["changed", "added", "removed"] as const) {
      const members = changes.filter((change) => change.kind === kind);
      if (members.length === 0) continue;
      const key = `group ${kind}`;
      const isExpanded = !collapsed.has(key);
      rows.push({ kind: "group", key, level: 1, isExpanded, title: titles[kind], size: members.length });
      if (isExpanded) for (const change of members) rows.push(...this.changeRows(change));
    }
    if (more > 0) rows.push({ kind: "note", key: "more", level: 1, text: format(strings.moreChanges, more) });
    return rows;
  }

  private changeRows(change: ChangeModel): ChangeRow[] {
    const key = `change ${change.name}`;
    const { elements } = change;
    if (elements.length === 0) {
      const isReordered =
        change.kind === "changed" &&
        change.before?.value?.elements !== undefined &&
        change.after?.value?.elements !== undefined &&
        change.before.value.elements.length > 1;
      return [
        { kind: "change", key, level: 2, change, isExpanded: isReordered ? true : undefined },
        ...(isReordered
          ? [{ kind: "note", key: `${key} order`, level: 3, text: this.strings.reordered } as const]
          : []),
      ];
    }
    const isExpanded = !this.collapsed.has(key);
    return [
      { kind: "change", key, level: 2, change, isExpanded },
      ...(isExpanded
        ? elements.map(({ kind, text }, index): ChangeRow => ({
            kind: "element",
            key: `${key} ${index}`,
            level: 3,
            isAdded: kind === "added",
            text,
            change,
          }))
        : []),
    ];
  }

  private cells(row: ChangeRow): Node[] {
    const { strings } = this;
    switch (row.kind) {
      case "group": {
        const fragment = document.createDocumentFragment();
        fragment.append(row.title, " ", element("span", { class: "badge" }, count(row.size)));
        return [fragment];
      }
      case "note":
        return [element("span", { class: "note" }, row.text)];
      case "element":
        return [
          element(
            "span",
            { class: `path ${row.isAdded ? "added" : "removed"}` },
            element(
              "span",
              {
                class: "sign",
                role: "img",
                "aria-label": row.isAdded ? strings.elementAdded : strings.elementRemoved,
              },
              row.isAdded ? "+" : "−",
            ),
            pathText(row.text, ""),
          ),
        ];
      case "change": {
        const { change } = row;
        const side = (model: ChangeModel["before"], isNew: boolean): Node =>
          model === undefined
            ? element("span", { class: "note", "aria-label": strings.none }, "–")
            : element(
                "span",
                { class: isNew ? "added" : "removed" },
                valueLine({ ...model, isSecret: change.isSecret }, strings, ""),
              );
        return [
          document.createTextNode(visible(change.name)),
          side(change.before, false),
          side(change.after, true),
        ];
      }
    }
  }
}
