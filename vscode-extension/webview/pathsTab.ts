import type { ScriptModel, ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element, replaceChildren } from "./dom.ts";
import { post } from "./host.ts";
import { count, format, pathText, visible, visibleLines } from "./text.ts";

/** The spec's scripts, and where programs, headers and libraries are looked for. */
export class PathsTab {
  readonly panel: HTMLElement;
  private readonly strings: ViewStrings;
  private shown = "";

  constructor(strings: ViewStrings) {
    this.strings = strings;
    this.panel = element("section", { class: "lists" });
  }

  show({ scripts, searchPaths }: ViewModel): void {
    const facts = JSON.stringify([scripts, searchPaths]);
    if (facts === this.shown) return;
    this.shown = facts;
    const { strings } = this;
    const { programs, headers, libraries, pkgConfig, compiler } = searchPaths;
    replaceChildren(
      this.panel,
      this.block(strings.scripts, scripts.length, strings.noScripts, () =>
        element("ul", { class: "scripts" }, ...scripts.map((script) => this.script(script))),
      ),
      this.pathBlock(strings.programs, programs),
      this.pathBlock(strings.headers, headers),
      this.pathBlock(strings.libraries, libraries),
      this.pathBlock(strings.pkgConfig, pkgConfig),
      compiler !== undefined && this.pathBlock(strings.compiler, [compiler]),
    );
  }

  private pathBlock(title: string, paths: readonly string[]): HTMLElement {
    return this.block(title, paths.length, this.strings.none, () =>
      element("ol", { class: "value-list" }, ...paths.map((path) => element("li", {}, pathText(path, "")))),
    );
  }

  private block(title: string, size: number, none: string, list: () => HTMLElement): HTMLElement {
    return element(
      "section",
      {},
      element("h2", {}, title, " ", size > 0 && element("span", { class: "badge" }, count(size))),
      size === 0 ? element("p", { class: "dim" }, none) : list(),
    );
  }

  private script({ name, text, where }: ScriptModel): HTMLElement {
    return element(
      "li",
      {},
      element("strong", {}, visible(name)),
      where !== undefined &&
        element(
          "button",
          {
            type: "button",
            class: "link",
            "aria-label": format(this.strings.openOrigin, visible(where)),
            on: { click: () => post({ type: "openScript", name }) },
          },
          visible(where),
        ),
      element("pre", {}, visibleLines(text)),
    );
  }
}
