import { element, icon, replaceChildren, setAttributes } from "./dom.ts";

export interface GridRow {
  /** Unique, and the same for the same thing after a change. */
  readonly key: string;
  /** From 1. */
  readonly level: number;
  /** Undefined: it has nothing below it. */
  readonly isExpanded?: boolean | undefined;
}

export interface GridColumn {
  readonly title: string;
  readonly className: string;
  readonly sort?:
    | { readonly direction: "ascending" | "descending" | "none"; readonly onSort: () => void }
    | undefined;
}

export interface GridOptions<Row extends GridRow> {
  readonly role: "grid" | "treegrid";
  readonly label: string;
  /** One for each column, the first with the row's name. */
  readonly cells: (row: Row) => readonly Node[];
  /** Buttons of the row, seen when it is pointed at or active. */
  readonly actions?: ((row: Row) => readonly Node[]) | undefined;
  readonly onToggle?: ((row: Row) => void) | undefined;
  /** Enter, or a click. */
  readonly onOpen?: ((row: Row) => void) | undefined;
  /** Handled: true. */
  readonly onKey?: ((row: Row, event: KeyboardEvent) => boolean) | undefined;
  readonly onCopy?: ((row: Row) => void) | undefined;
}

const OVERSCAN = 8;
let grids = 0;

/**
 * Rows of one height, of which only those in sight are elements: 10,000 cost what 50 do. The grid itself has the
 * focus and names the active row (`aria-activedescendant`), as VS Code's own lists do.
 */
export class VirtualGrid<Row extends GridRow> {
  readonly element: HTMLElement;
  private readonly id: string;
  private readonly options: GridOptions<Row>;
  private readonly header: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly space: HTMLElement;
  private columns: readonly GridColumn[] = [];
  private rows: readonly Row[] = [];
  private active = 0;
  private rowHeight = 22;
  private shown = new Map<number, { readonly row: Row; readonly element: HTMLElement }>();

  constructor(options: GridOptions<Row>) {
    this.options = options;
    this.id = `grid${(grids += 1)}`;
    this.header = element("div", { role: "rowgroup", class: "grid-header" });
    this.space = element("div", { role: "presentation", class: "grid-space" });
    this.scroller = element(
      "div",
      {
        role: "rowgroup",
        class: "grid-body",
        tabindex: -1,
        // A click lands here; nothing may move before the button is up.
        on: { scroll: () => this.render(), focus: () => this.element.focus({ preventScroll: true }) },
      },
      this.space,
    );
    this.element = element(
      "div",
      {
        role: options.role,
        class: "grid",
        tabindex: 0,
        "aria-label": options.label,
        on: {
          keydown: (event) => this.onKeydown(event),
          copy: (event) => this.onCopy(event),
          focus: () => this.markActive(),
          mousedown: (event) => this.onMousedown(event),
          click: (event) => this.onClick(event),
        },
      },
      this.header,
      this.scroller,
    );
    new ResizeObserver(() => {
      this.measure();
      this.render();
    }).observe(this.scroller);
  }

  get activeRow(): Row | undefined {
    return this.rows[this.active];
  }

  setColumns(columns: readonly GridColumn[]): void {
    this.columns = columns;
    const cells = columns.map(({ title, className, sort }, index) =>
      element(
        "span",
        {
          role: "columnheader",
          class: `cell ${className}`,
          "aria-colindex": index + 1,
          "aria-sort": sort?.direction,
        },
        sort === undefined
          ? title
          : element(
              "button",
              { type: "button", class: "sort", on: { click: sort.onSort } },
              title,
              sort.direction !== "none" && icon("chevron"),
            ),
      ),
    );
    const focused = this.header.contains(document.activeElement)
      ? [...this.header.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement)
      : -1;
    replaceChildren(this.header, element("div", { role: "row", class: "row", "aria-rowindex": 1 }, ...cells));
    if (focused >= 0) this.header.querySelectorAll("button")[focused]?.focus();
    setAttributes(this.element, { "aria-colcount": columns.length });
  }

  /** The active row stays, where it is still there. */
  setRows(rows: readonly Row[]): void {
    const key = this.activeRow?.key;
    this.rows = rows;
    const kept = key === undefined ? -1 : rows.findIndex((row) => row.key === key);
    this.active = kept >= 0 ? kept : 0;
    setAttributes(this.element, { "aria-rowcount": rows.length + 1 });
    this.measure();
    this.clear();
    this.render();
    if (kept < 0) this.scroller.scrollTop = 0;
  }

  /** Makes the row active and brings it into sight. */
  reveal(index: number): void {
    if (this.rows.length === 0) return;
    this.active = Math.max(0, Math.min(index, this.rows.length - 1));
    const top = this.active * this.rowHeight;
    const height = this.scroller.clientHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.rowHeight > this.scroller.scrollTop + height)
      this.scroller.scrollTop = top + this.rowHeight - height;
    this.render();
    this.markActive();
  }

  focus(): void {
    this.element.focus();
  }

  private measure(): void {
    const fontSize = Number.parseFloat(getComputedStyle(this.element).fontSize) || 13;
    const height = Math.round(fontSize * 1.7);
    if (height !== this.rowHeight) this.clear();
    this.rowHeight = height;
    this.space.style.height = `${this.rows.length * height}px`;
  }

  private clear(): void {
    const hadFocus =
      this.scroller.contains(document.activeElement) && this.scroller !== document.activeElement;
    this.shown.clear();
    this.space.replaceChildren();
    if (hadFocus) this.focus();
  }

  private render(): void {
    const { scrollTop, clientHeight } = this.scroller;
    if (clientHeight === 0) return;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - OVERSCAN);
    const end = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + OVERSCAN);
    const wanted = new Set<number>();
    for (let index = first; index < end; index += 1) wanted.add(index);
    // A screen reader follows the active row, wherever the view was scrolled to.
    if (this.active < this.rows.length) wanted.add(this.active);
    for (const [index, { element: row }] of this.shown)
      if (!wanted.has(index)) {
        if (row.contains(document.activeElement)) this.focus();
        row.remove();
        this.shown.delete(index);
      }
    const order = [...wanted].sort((a, b) => a - b);
    for (const index of order) {
      const row = this.rows[index];
      if (row === undefined || this.shown.has(index)) continue;
      const made = this.makeRow(row, index);
      this.shown.set(index, { row, element: made });
      const next = order.find((other) => other > index && this.shown.has(other));
      this.space.insertBefore(made, next === undefined ? null : (this.shown.get(next)?.element ?? null));
    }
    this.markActive();
  }

  private makeRow(row: Row, index: number): HTMLElement {
    const isTree = this.options.role === "treegrid";
    const contents = this.options.cells(row);
    // One alone takes the whole width.
    const isWhole = contents.length === 1;
    const cells = contents.map((content, column) =>
      element(
        "span",
        {
          role: column === 0 ? "rowheader" : "gridcell",
          class: `cell ${isWhole ? "whole" : (this.columns[column]?.className ?? "")}`,
          "aria-colindex": column + 1,
          "aria-colspan": isWhole ? this.columns.length : undefined,
        },
        column === 0 &&
          isTree &&
          element(
            "span",
            { class: row.isExpanded === undefined ? "twistie" : "twistie open" },
            icon("chevron"),
          ),
        content,
      ),
    );
    const actions = this.options.actions?.(row) ?? [];
    const made = element(
      "div",
      {
        role: "row",
        id: `${this.id}-${index}`,
        class: `row level${row.level}`,
        "aria-rowindex": index + 2,
        "aria-level": isTree ? row.level : undefined,
        "aria-expanded": row.isExpanded,
        "data-index": index,
      },
      ...cells,
      actions.length > 0 && element("span", { role: "gridcell", class: "actions" }, ...actions),
    );
    made.style.top = `${index * this.rowHeight}px`;
    made.style.height = `${this.rowHeight}px`;
    return made;
  }

  private markActive(): void {
    for (const [index, { element: row }] of this.shown) {
      const isActive = index === this.active;
      row.classList.toggle("active", isActive);
      row.setAttribute("aria-selected", String(isActive));
      for (const button of row.querySelectorAll("button")) button.tabIndex = isActive ? 0 : -1;
    }
    setAttributes(this.element, {
      "aria-activedescendant": this.rows.length === 0 ? undefined : `${this.id}-${this.active}`,
    });
  }

  private onKeydown(event: KeyboardEvent): void {
    const row = this.activeRow;
    if (event.target !== this.element || row === undefined) return;
    if (this.options.onKey?.(row, event) === true) event.preventDefault();
    else if (!event.ctrlKey && !event.altKey && !event.metaKey && this.move(row, event.key))
      event.preventDefault();
  }

  private move(row: Row, key: string): boolean {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.rows.length - 1,
    };
    const index = steps[key];
    if (index !== undefined) this.reveal(index);
    else if (key === "ArrowRight") {
      if (row.isExpanded === false) this.options.onToggle?.(row);
      else if (row.isExpanded === true) this.reveal(this.active + 1);
    } else if (key === "ArrowLeft") {
      if (row.isExpanded === true) this.options.onToggle?.(row);
      else this.reveal(this.parentOf(this.active));
    } else if (key === " ") {
      if (row.isExpanded === undefined) this.options.onOpen?.(row);
      else this.options.onToggle?.(row);
    } else if (key === "Enter") this.options.onOpen?.(row);
    else return false;
    return true;
  }

  private parentOf(index: number): number {
    const level = this.rows[index]?.level ?? 1;
    for (let above = index - 1; above >= 0; above -= 1)
      if ((this.rows[above]?.level ?? 0) < level) return above;
    return index;
  }

  private onCopy(event: ClipboardEvent): void {
    const row = this.activeRow;
    if (
      row === undefined ||
      this.options.onCopy === undefined ||
      document.getSelection()?.isCollapsed === false
    )
      return;
    event.preventDefault();
    this.options.onCopy(row);
  }

  private indexAt(event: MouseEvent): number | undefined {
    const target = event.target instanceof Element ? event.target : undefined;
    if (target === undefined || target.closest("button") !== null) return undefined;
    const index = target.closest<HTMLElement>(".row[data-index]")?.dataset.index;
    return index === undefined ? undefined : Number(index);
  }

  private onMousedown(event: MouseEvent): void {
    const index = this.indexAt(event);
    if (index !== undefined && event.button === 0) this.reveal(index);
  }

  private onClick(event: MouseEvent): void {
    const index = this.indexAt(event);
    const row = index === undefined ? undefined : this.rows[index];
    if (row === undefined || document.getSelection()?.isCollapsed === false) return;
    const onTwistie = event.target instanceof Element && event.target.closest(".twistie.open") !== null;
    if (onTwistie || (row.isExpanded !== undefined && this.options.onOpen === undefined))
      this.options.onToggle?.(row);
    else this.options.onOpen?.(row);
  }
}
