import type { ClosureState, ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { closureDetails } from "./closureDetails.ts";
import { closureOf, makeClosureGraph, type ClosureGraph, type ClosureNode } from "./closureGraph.ts";
import { element, iconButton, replaceChildren, textButton } from "./dom.ts";
import { makeFilterBox, type FilterBox } from "./filterBox.ts";
import { post, savedState, saveState } from "./host.ts";
import { bytes, count, format, marked, percent, visible, visibleLines } from "./text.ts";
import { Treemap } from "./treemap.ts";
import { VirtualGrid, type GridRow } from "./virtualGrid.ts";

type PathRow = GridRow & { readonly node: ClosureNode };
type Sort = "name" | "size" | "neededBy";

/** All store paths of the environment: a treemap, and a sorted table that says the same. */
export class ClosureTab {
  readonly panel: HTMLElement;
  private readonly strings: ViewStrings;
  private readonly announce: (text: string) => void;
  private readonly filter: FilterBox;
  private readonly grid: VirtualGrid<PathRow>;
  private readonly treemap: Treemap;
  private readonly message: HTMLElement;
  private readonly content: HTMLElement;
  private readonly total: HTMLElement;
  private readonly hover: HTMLElement;
  private readonly split: HTMLElement;
  private readonly legend: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly modes: readonly HTMLButtonElement[];
  private graph: ClosureGraph | undefined;
  private query = "";
  private isList: boolean;
  private sort: { readonly by: Sort; readonly isDown: boolean } = { by: "size", isDown: true };
  private zoomed: ClosureNode | undefined;
  private selected: ClosureNode | undefined;
  /** The environment that is shown, or asked for. */
  private loadedId: string | undefined;
  private reportId: string | undefined;

  constructor(strings: ViewStrings, announce: (text: string) => void) {
    this.strings = strings;
    this.announce = announce;
    this.isList = savedState().isClosureList === true;
    this.message = element("div", { class: "empty" });
    this.total = element("span", { class: "counter dim" });
    this.hover = element("p", { class: "hover dim", "aria-hidden": "true" });
    this.empty = element("p", { class: "empty", hidden: true }, strings.nothingMatches);
    this.filter = makeFilterBox(
      strings.filterClosure,
      strings.clearFilter,
      (text) => {
        this.query = text.toLowerCase();
        this.announce(format(strings.closureShown, this.render(), this.graph?.nodes.length ?? 0));
      },
      () => (this.isList ? this.grid : this.treemap).focus(),
    );
    this.treemap = new Treemap({
      strings,
      onActive: (node) => this.showHover(node),
      onSelect: (node) => this.select(node),
      onZoom: (node) => this.zoom(node),
    });
    this.grid = new VirtualGrid<PathRow>({
      role: "grid",
      label: strings.closure,
      cells: ({ node }) => this.cells(node),
      actions: ({ node }) => [
        iconButton("zoomIn", strings.zoomIn, () => this.zoom(node)),
        iconButton("copy", strings.copyStorePath, () => post({ type: "copyStorePath", path: node.path })),
      ],
      onOpen: ({ node }) => this.select(node),
      onCopy: ({ node }) => post({ type: "copyStorePath", path: node.path }),
      onKey: ({ node }, { key }) => {
        if (key === "+") this.zoom(node);
        return key === "+";
      },
    });
    this.modes = [this.modeButton(strings.treemap, false), this.modeButton(strings.list, true)];
    this.legend = element(
      "ul",
      { class: "legend", "aria-label": strings.legend },
      ...(["root", "shared", "single"] as const).map((kind) =>
        element(
          "li",
          {},
          element("span", { class: `swatch map-${kind}`, "aria-hidden": "true" }),
          { root: strings.kindRoot, shared: strings.kindShared, single: strings.kindSingle }[kind],
        ),
      ),
    );
    this.split = element("div", { class: "split" });
    this.content = element(
      "div",
      { class: "panel-content", hidden: true },
      element(
        "div",
        { class: "toolbar" },
        this.filter.element,
        this.total,
        element("span", { class: "spring" }),
        element("span", { class: "segments", role: "group", "aria-label": strings.showAs }, ...this.modes),
      ),
      this.empty,
      this.split,
      element("div", { class: "footer" }, this.hover, this.legend),
    );
    this.panel = element(
      "section",
      {
        on: {
          keydown: (event) => {
            if (event.key === "Escape") this.escape(event);
          },
        },
      },
      this.message,
      this.content,
    );
  }

  /** The environment may have changed: its closure is read again once the tab is shown. */
  showModel(model: ViewModel, isShown: boolean): void {
    this.reportId = model.reportId;
    if (isShown) this.onShow();
  }

  onShow(): void {
    if (this.reportId === undefined) this.showMessage(this.strings.noEnvironment);
    else if (this.loadedId !== this.reportId) this.load();
  }

  showClosure(closure: ClosureState): void {
    const { strings } = this;
    if (closure.state === "loading") {
      if (this.graph === undefined) this.showMessage(strings.closureLoading);
    } else if (closure.state === "failed") {
      this.graph = undefined;
      this.showMessage(strings.closureFailed, closure.message);
      this.announce(strings.closureFailed);
    } else {
      this.graph = makeClosureGraph(closure.closure);
      const same = (node: ClosureNode | undefined): ClosureNode | undefined =>
        node && this.graph?.nodes.find(({ path }) => path === node.path);
      this.zoomed = same(this.zoomed);
      this.selected = same(this.selected);
      if (this.graph.nodes.length === 0) {
        this.showMessage(strings.closureEmpty);
        return;
      }
      this.message.hidden = true;
      this.content.hidden = false;
      this.setMode(this.isList);
      this.announce(this.totalText());
    }
  }

  focusFilter(): void {
    this.filter.input.select();
    this.filter.input.focus();
  }

  private load(): void {
    this.loadedId = this.reportId;
    this.showClosure({ state: "loading" });
    post({ type: "loadClosure" });
  }

  private showMessage(text: string, detail?: string): void {
    this.content.hidden = true;
    this.message.hidden = false;
    replaceChildren(
      this.message,
      element("p", {}, text),
      detail !== undefined && element("pre", {}, visibleLines(detail)),
      detail !== undefined && textButton(this.strings.tryAgain, () => this.load()),
    );
  }

  private modeButton(label: string, isList: boolean): HTMLButtonElement {
    return textButton(label, () => this.setMode(isList), { class: "segment" });
  }

  private setMode(isList: boolean): void {
    this.isList = isList;
    saveState({ isClosureList: isList });
    for (const [index, button] of this.modes.entries())
      button.setAttribute("aria-pressed", String((index === 1) === isList));
    this.legend.hidden = isList;
    this.hover.hidden = isList;
    this.setColumns();
    this.showSplit();
    this.render();
  }

  private totalText(): string {
    const { graph, strings, zoomed } = this;
    if (graph === undefined) return "";
    const all = zoomed === undefined ? undefined : closureOf(graph, zoomed.index);
    const sum = graph.nodes.reduce(
      (total, node) => total + (all?.has(node.index) === false ? 0 : node.sizeBytes),
      0,
    );
    return format(strings.closureTotal, bytes(sum), all?.size ?? graph.nodes.length);
  }

  /** @returns how many paths are shown */
  private render(): number {
    const { graph, query, zoomed } = this;
    if (graph === undefined) return 0;
    const within = zoomed === undefined ? undefined : closureOf(graph, zoomed.index);
    const nodes = graph.bySize.flatMap((index) => {
      const node = graph.nodes[index];
      const isShown =
        node !== undefined &&
        within?.has(index) !== false &&
        (query === "" || node.name.toLowerCase().includes(query));
      return isShown ? [node] : [];
    });
    this.empty.hidden = nodes.length > 0;
    this.split.hidden = nodes.length === 0;
    if (this.isList)
      this.grid.setRows(this.sorted(nodes).map((node) => ({ key: node.path, level: 1, node })));
    else {
      this.treemap.show(nodes, graph.totalBytes);
      this.treemap.select(this.selected);
    }
    replaceChildren(
      this.total,
      query === "" ? this.totalText() : format(this.strings.closureShown, nodes.length, graph.nodes.length),
      zoomed && element("span", { class: "badge" }, format(this.strings.zoomed, visible(zoomed.name))),
      zoomed && textButton(this.strings.zoomOut, () => this.zoom(undefined), { class: "link" }),
    );
    return nodes.length;
  }

  private sorted(nodes: readonly ClosureNode[]): readonly ClosureNode[] {
    const { by, isDown } = this.sort;
    const direction = isDown ? -1 : 1;
    if (by === "size") return isDown ? nodes : nodes.toReversed();
    return nodes.toSorted((a, b) =>
      by === "name"
        ? direction * (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
        : direction * (a.neededBy.length - b.neededBy.length),
    );
  }

  private setColumns(): void {
    const { strings } = this;
    const sorted = (by: Sort) =>
      ({
        direction: this.sort.by !== by ? "none" : this.sort.isDown ? "descending" : "ascending",
        onSort: () => {
          this.sort = { by, isDown: this.sort.by === by ? !this.sort.isDown : by !== "name" };
          this.setColumns();
          this.render();
        },
      }) as const;
    this.grid.setColumns([
      { title: strings.name, className: "path-name", sort: sorted("name") },
      { title: strings.size, className: "number", sort: sorted("size") },
      { title: strings.share, className: "number share" },
      { title: strings.neededByCount, className: "number", sort: sorted("neededBy") },
    ]);
  }

  private cells(node: ClosureNode): Node[] {
    const name = document.createDocumentFragment();
    name.append(marked(visible(node.name), this.query));
    if (node.kind === "root") name.append(" ", element("span", { class: "badge" }, this.strings.kindRoot));
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    const total = this.graph?.totalBytes ?? 0;
    const largest = this.graph?.nodes[this.graph.bySize[0] ?? 0]?.sizeBytes ?? 0;
    bar.style.width = `${largest === 0 ? 0 : (node.sizeBytes / largest) * 100}%`;
    const share = document.createDocumentFragment();
    share.append(element("span", { class: "bar-space" }, bar), percent(node.sizeBytes, total));
    return [
      name,
      document.createTextNode(bytes(node.sizeBytes)),
      share,
      document.createTextNode(count(node.neededBy.length)),
    ];
  }

  private showHover(node: ClosureNode | undefined): void {
    const shown = node ?? this.selected;
    const { strings, graph } = this;
    this.hover.textContent =
      shown === undefined || graph === undefined
        ? ""
        : `${format(strings.cellLabel, visible(shown.name), bytes(shown.sizeBytes), percent(shown.sizeBytes, graph.totalBytes))} · ${strings.neededByCount}: ${
            shown.neededBy.length === 0
              ? strings.ofTheEnvironment
              : shown.neededBy
                  .slice(0, 3)
                  .map((index) => visible(graph.nodes[index]?.name ?? ""))
                  .join(", ") +
                (shown.neededBy.length > 3
                  ? ` ${format(strings.moreElements, shown.neededBy.length - 3)}`
                  : "")
          }`;
  }

  private select(node: ClosureNode | undefined): void {
    this.selected = node;
    this.showSplit();
    this.treemap.select(node);
    this.showHover(node);
  }

  private showSplit(): void {
    const { graph, selected, strings } = this;
    const view = this.isList ? this.grid : this.treemap;
    const hadFocus =
      this.split.contains(document.activeElement) && !view.element.contains(document.activeElement);
    const details =
      graph &&
      selected &&
      closureDetails(graph, selected, strings, {
        onSelect: (node) => this.select(node),
        onZoom: (node) => this.zoom(node),
        onClose: () => this.closeDetails(),
      });
    // What stays must not be put in anew: it would lose focus and place.
    if (this.split.firstChild !== view.element) replaceChildren(this.split, view.element);
    this.split.querySelector(".details")?.remove();
    if (details !== undefined) this.split.append(details);
    // The focus was in the old details: it goes to the same place of the new ones.
    if (hadFocus) (details?.querySelector<HTMLElement>("button") ?? view.element).focus();
  }

  private closeDetails(): void {
    this.select(undefined);
    (this.isList ? this.grid : this.treemap).focus();
  }

  private zoom(node: ClosureNode | undefined): void {
    this.zoomed = node;
    this.render();
    (this.isList ? this.grid : this.treemap).focus();
    this.announce(
      node === undefined
        ? this.totalText()
        : `${format(this.strings.zoomed, visible(node.name))}: ${this.totalText()}`,
    );
  }

  private escape(event: KeyboardEvent): void {
    if (this.selected !== undefined) this.closeDetails();
    else if (this.zoomed !== undefined) this.zoom(undefined);
    else if (this.query !== "") this.filter.set("");
    else return;
    event.stopPropagation();
  }
}
