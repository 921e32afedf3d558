import { element, setAttributes } from "./dom.ts";

export interface Tab {
  readonly id: string;
  readonly title: string;
  readonly panel: HTMLElement;
  /** Called each time the tab is shown. */
  readonly onShow?: (() => void) | undefined;
}

export interface Tabs {
  readonly elements: readonly HTMLElement[];
  readonly selected: () => string;
  select(id: string): void;
  /** A number beside the title; empty: none. */
  setBadge(id: string, text: string): void;
}

/** Tabs with one place in the order of focus; arrows, Home and End go from tab to tab. */
export function makeTabs(label: string, tabs: readonly Tab[], onSelect: (id: string) => void): Tabs {
  let current = "";
  const buttons = tabs.map(({ id, title }) =>
    element(
      "button",
      {
        type: "button",
        role: "tab",
        class: "tab",
        id: `tab-${id}`,
        "aria-controls": `panel-${id}`,
        "aria-label": title,
        on: { click: () => select(id) },
      },
      element("span", {}, title),
      element("span", { class: "tab-badge" }),
    ),
  );
  const list = element(
    "div",
    {
      role: "tablist",
      class: "tabs",
      "aria-label": label,
      on: {
        keydown: (event) => {
          const at = tabs.findIndex(({ id }) => id === current);
          const to: Record<string, number> = {
            ArrowRight: (at + 1) % tabs.length,
            ArrowLeft: (at + tabs.length - 1) % tabs.length,
            Home: 0,
            End: tabs.length - 1,
          };
          const index = to[event.key];
          const tab = index === undefined ? undefined : tabs[index];
          if (index === undefined || tab === undefined || event.ctrlKey || event.altKey || event.metaKey)
            return;
          event.preventDefault();
          select(tab.id);
          buttons[index]?.focus();
        },
      },
    },
    ...buttons,
  );
  const panels = tabs.map(({ id, panel }) => {
    setAttributes(panel, {
      role: "tabpanel",
      id: `panel-${id}`,
      "aria-labelledby": `tab-${id}`,
      hidden: true,
    });
    panel.classList.add("panel");
    return panel;
  });
  const select = (id: string): void => {
    if (current === id) return;
    current = id;
    for (const [index, tab] of tabs.entries()) {
      const isSelected = tab.id === id;
      const button = buttons[index];
      if (button !== undefined)
        setAttributes(button, { "aria-selected": isSelected, tabindex: isSelected ? 0 : -1 });
      setAttributes(tab.panel, { hidden: !isSelected });
      if (isSelected) tab.onShow?.();
    }
    onSelect(id);
  };
  return {
    elements: [list, ...panels],
    selected: () => current,
    select,
    setBadge: (id, text) => {
      const index = tabs.findIndex((tab) => tab.id === id);
      const badge = buttons[index]?.querySelector(".tab-badge");
      if (badge === null || badge === undefined) return;
      badge.textContent = text;
      buttons[index]?.setAttribute("aria-label", `${tabs[index]?.title}${text === "" ? "" : `, ${text}`}`);
    },
  };
}
