import type { ViewStrings } from "../src/view/viewStrings.ts";
import { closureOf, whyOf, type ClosureGraph, type ClosureNode } from "./closureGraph.ts";
import { element, iconButton, textButton } from "./dom.ts";
import { post } from "./host.ts";
import { bytes, count, format, pathText, percent, visible } from "./text.ts";

const LISTED = 50;

export interface DetailsActions {
  readonly onSelect: (node: ClosureNode) => void;
  readonly onZoom: (node: ClosureNode) => void;
  readonly onClose: () => void;
}

/** One store path: its sizes, why it is here, what it needs and what needs it. */
export function closureDetails(
  graph: ClosureGraph,
  node: ClosureNode,
  strings: ViewStrings,
  actions: DetailsActions,
): HTMLElement {
  const all = closureOf(graph, node.index);
  const allBytes = graph.nodes.reduce((sum, each) => sum + (all.has(each.index) ? each.sizeBytes : 0), 0);
  const link = (index: number): HTMLElement | undefined => {
    const other = graph.nodes[index];
    if (other === undefined) return undefined;
    return element(
      "button",
      { type: "button", class: "link path", on: { click: () => actions.onSelect(other) } },
      visible(other.name),
    );
  };
  const list = (title: string, indexes: readonly number[]): HTMLElement =>
    element(
      "section",
      { class: "links" },
      element("h3", {}, title, " ", element("span", { class: "badge" }, count(indexes.length))),
      indexes.length === 0
        ? element("p", { class: "dim" }, strings.nothing)
        : element(
            "ul",
            {},
            ...indexes
              .slice(0, LISTED)
              .map((index) =>
                element(
                  "li",
                  {},
                  link(index),
                  element("span", { class: "dim size" }, bytes(graph.nodes[index]?.sizeBytes ?? 0)),
                ),
              ),
            indexes.length > LISTED &&
              element("li", { class: "dim" }, format(strings.moreElements, indexes.length - LISTED)),
          ),
    );
  const fact = (name: string, value: string): HTMLElement =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value));
  return element(
    "aside",
    { class: "details", "aria-label": format(strings.details, visible(node.name)) },
    element(
      "div",
      { class: "details-title" },
      element("h2", {}, visible(node.name)),
      iconButton("close", strings.closeDetails, actions.onClose),
    ),
    element(
      "dl",
      { class: "sizes" },
      fact(strings.size, `${bytes(node.sizeBytes)} (${percent(node.sizeBytes, graph.totalBytes)})`),
      fact(strings.closureSize, `${bytes(allBytes)} (${percent(allBytes, graph.totalBytes)})`),
    ),
    element("p", { class: "store-path" }, pathText(node.path, "")),
    element(
      "div",
      { class: "details-actions" },
      textButton(strings.zoomIn, () => actions.onZoom(node)),
      textButton(strings.copyStorePath, () => post({ type: "copyStorePath", path: node.path })),
    ),
    whyBlock(graph, node, strings, link),
    list(strings.neededBy, node.neededBy),
    list(strings.needs, node.needs),
  );
}

function whyBlock(
  graph: ClosureGraph,
  node: ClosureNode,
  strings: ViewStrings,
  link: (index: number) => HTMLElement | undefined,
): HTMLElement {
  const chain = whyOf(graph, node.index);
  return element(
    "section",
    { class: "links" },
    element("h3", {}, strings.why),
    element(
      "ol",
      { class: "chain" },
      element("li", {}, strings.ofTheEnvironment),
      ...chain.map((index) =>
        element("li", {}, index === node.index ? element("strong", {}, visible(node.name)) : link(index)),
      ),
    ),
  );
}
