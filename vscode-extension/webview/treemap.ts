import type { ViewStrings } from "../src/view/viewStrings.ts";
import type { ClosureNode } from "./closureGraph.ts";
import { element, replaceChildren, setAttributes } from "./dom.ts";
import { squarify, type Rectangle } from "./squarify.ts";
import { bytes, format, percent, visible } from "./text.ts";

/** Smaller cells cannot be pointed at: they share one. */
const SMALLEST_AREA = 64;
const GAP = 1;

export interface TreemapOptions {
  readonly strings: ViewStrings;
  /** Pointed at, or active; undefined: neither. */
  readonly onActive: (node: ClosureNode | undefined) => void;
  readonly onSelect: (node: ClosureNode) => void;
  readonly onZoom: (node: ClosureNode) => void;
}

interface Cell extends Rectangle {
  /** Undefined: the cell of all smaller ones. */
  readonly node: ClosureNode | undefined;
  readonly element: HTMLElement;
}

/** Store paths as areas. A list box to assistive technology: arrows go to the neighbour, Enter selects. */
export class Treemap {
  readonly element: HTMLElement;
  private readonly options: TreemapOptions;
  private nodes: readonly ClosureNode[] = [];
  private totalBytes = 0;
  private cells: Cell[] = [];
  private active = 0;
  private selected: ClosureNode | undefined;
  private marked: { readonly active?: Element | undefined; readonly selected?: Element | undefined } = {};

  constructor(options: TreemapOptions) {
    this.options = options;
    this.element = element("div", {
      role: "listbox",
      class: "treemap",
      tabindex: 0,
      "aria-label": options.strings.treemapLabel,
      on: {
        keydown: (event) => this.onKeydown(event),
        focus: () => this.markActive(true),
        blur: () => options.onActive(undefined),
        click: (event) => this.onPointer(event, (node) => options.onSelect(node)),
        dblclick: (event) => this.onPointer(event, (node) => options.onZoom(node)),
        mouseover: (event) => this.onPointer(event, (node) => options.onActive(node), false),
        mouseleave: () => options.onActive(undefined),
      },
    });
    new ResizeObserver(() => this.layOut()).observe(this.element);
  }

  get activeNode(): ClosureNode | undefined {
    return this.cells[this.active]?.node;
  }

  /** @param nodes the largest first */
  show(nodes: readonly ClosureNode[], totalBytes: number): void {
    const active = this.activeNode;
    this.nodes = nodes.filter(({ sizeBytes }) => sizeBytes > 0);
    this.totalBytes = totalBytes;
    this.layOut();
    this.activate(
      Math.max(
        0,
        this.cells.findIndex(({ node }) => node !== undefined && node === active),
      ),
    );
  }

  select(node: ClosureNode | undefined): void {
    this.selected = node;
    const index = node === undefined ? -1 : this.cells.findIndex((cell) => cell.node === node);
    if (index >= 0) this.active = index;
    this.markActive(false);
  }

  focus(): void {
    this.element.focus();
  }

  private layOut(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    const { nodes } = this;
    if (width === 0 || height === 0) return;
    const sum = nodes.reduce((all, { sizeBytes }) => all + sizeBytes, 0);
    const smallest = (SMALLEST_AREA * sum) / (width * height);
    let end = nodes.findIndex(({ sizeBytes }) => sizeBytes < smallest);
    // One that is small alone keeps its name.
    if (end < 0 || end === nodes.length - 1) end = nodes.length;
    const sizes = nodes.slice(0, end).map(({ sizeBytes }) => sizeBytes);
    const rest = nodes.slice(end);
    const restBytes = rest.reduce((all, { sizeBytes }) => all + sizeBytes, 0);
    if (restBytes > 0) sizes.push(restBytes);
    // The rest may be larger than the last of the named ones; the layout wants the largest first.
    const order = [...sizes.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
    const parts = squarify(
      order.map((index) => sizes[index] ?? 0),
      { x: 0, y: 0, width, height },
    );
    this.cells = order.map((index, place) => {
      const part = parts[place] ?? { x: 0, y: 0, width: 0, height: 0 };
      const node = index < end ? nodes[index] : undefined;
      return { ...part, node, element: this.makeCell(part, node, rest.length, restBytes, place) };
    });
    replaceChildren(this.element, ...this.cells.map((cell) => cell.element));
    this.active = Math.min(this.active, Math.max(0, this.cells.length - 1));
    this.markActive(false);
  }

  private makeCell(
    { x, y, width, height }: Rectangle,
    node: ClosureNode | undefined,
    restCount: number,
    restBytes: number,
    place: number,
  ): HTMLElement {
    const { strings } = this.options;
    const sizeBytes = node?.sizeBytes ?? restBytes;
    const name = node === undefined ? format(strings.smaller, restCount) : visible(node.name);
    const cell = element(
      "div",
      {
        role: "option",
        id: `cell-${place}`,
        class: `map-cell map-${node?.kind ?? "rest"}${Math.min(width, height) < 14 ? " map-tiny" : ""}`,
        "aria-label": format(strings.cellLabel, name, bytes(sizeBytes), percent(sizeBytes, this.totalBytes)),
        "aria-selected": false,
        "data-place": place,
      },
      width > 44 && height > 20 && element("span", { class: "map-name" }, name),
      width > 60 && height > 38 && element("span", { class: "map-size" }, bytes(sizeBytes)),
    );
    // Whole pixels: gaps would come and go.
    const left = Math.round(x);
    const top = Math.round(y);
    cell.style.left = `${left}px`;
    cell.style.top = `${top}px`;
    cell.style.width = `${Math.max(1, Math.round(x + width) - left - GAP)}px`;
    cell.style.height = `${Math.max(1, Math.round(y + height) - top - GAP)}px`;
    return cell;
  }

  private activate(index: number): void {
    this.active = Math.max(0, Math.min(index, this.cells.length - 1));
    this.markActive(document.activeElement === this.element);
  }

  private markActive(tells: boolean): void {
    const active = this.cells[this.active]?.element;
    const selected = this.cells.find(({ node }) => node !== undefined && node === this.selected)?.element;
    // Only what changes: there may be a thousand cells.
    if (this.marked.active !== active) this.marked.active?.classList.remove("active");
    if (this.marked.selected !== selected) this.marked.selected?.setAttribute("aria-selected", "false");
    active?.classList.add("active");
    selected?.setAttribute("aria-selected", "true");
    this.marked = { active, selected };
    setAttributes(this.element, { "aria-activedescendant": active?.id });
    if (tells) this.options.onActive(this.activeNode);
  }

  private onPointer(event: MouseEvent, then: (node: ClosureNode) => void, activates = true): void {
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>(".map-cell") : null;
    const place = Number(target?.dataset.place ?? Number.NaN);
    const node = this.cells[place]?.node;
    if (activates && this.cells[place] !== undefined) this.activate(place);
    if (node !== undefined) then(node);
    else if (!activates) this.options.onActive(undefined);
  }

  private onKeydown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { key } = event;
    const node = this.activeNode;
    if (key === "Home") this.activate(0);
    else if (key === "End") this.activate(this.cells.length - 1);
    else if (key === "PageDown") this.activate(this.active + 1);
    else if (key === "PageUp") this.activate(this.active - 1);
    else if ((key === "Enter" || key === " ") && node !== undefined) this.options.onSelect(node);
    else if (key === "+" && node !== undefined) this.options.onZoom(node);
    else {
      const direction = DIRECTIONS[key];
      if (direction === undefined) return;
      this.activate(this.neighbour(direction[0], direction[1]));
    }
    event.preventDefault();
  }

  /** The nearest cell that way, by centres; the way across counts double. */
  private neighbour(dx: number, dy: number): number {
    const from = this.cells[this.active];
    if (from === undefined) return 0;
    let best = this.active;
    let bestDistance = Number.POSITIVE_INFINITY;
    for (const [index, cell] of this.cells.entries()) {
      const x = cell.x + cell.width / 2 - (from.x + from.width / 2);
      const y = cell.y + cell.height / 2 - (from.y + from.height / 2);
      const isBeyond =
        dx > 0
          ? cell.x >= from.x + from.width - 0.5
          : dx < 0
            ? cell.x + cell.width <= from.x + 0.5
            : dy > 0
              ? cell.y >= from.y + from.height - 0.5
              : cell.y + cell.height <= from.y + 0.5;
      if (!isBeyond) continue;
      const distance = Math.abs(dx === 0 ? y : x) + 2 * Math.abs(dx === 0 ? x : y);
      if (distance < bestDistance) [best, bestDistance] = [index, distance];
    }
    return best;
  }
}

const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};
