import type { ToView, ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { ChangesTab } from "./changesTab.ts";
import { ClosureTab } from "./closureTab.ts";
import { element } from "./dom.ts";
import { Header } from "./header.ts";
import { post, savedState, saveState } from "./host.ts";
import { PathsTab } from "./pathsTab.ts";
import { makeShortcuts } from "./shortcuts.ts";
import { makeTabs } from "./tabs.ts";
import { count } from "./text.ts";
import { VariablesTab } from "./variablesTab.ts";
import "./webview.css";

/** While a key is held or a word typed, only the last count is said. */
const ANNOUNCE_DELAY_MS = 250;

interface View {
  receive(message: ToView): void;
}

let view: View | undefined;
window.addEventListener("message", ({ data }: MessageEvent<ToView>) => {
  if (data.type === "init") {
    saveState({ folder: data.folder });
    document.documentElement.lang = data.locale;
    view = makeView(data.strings);
  } else view?.receive(data);
});
post({ type: "ready" });

function makeView(strings: ViewStrings): View {
  document.title = strings.title;
  const live = element("div", { class: "live", role: "status", "aria-live": "polite" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const announce = (text: string): void => {
    clearTimeout(timer);
    // The same words again are said again.
    live.textContent = "";
    timer = setTimeout(() => {
      live.textContent = text;
    }, ANNOUNCE_DELAY_MS);
  };
  const shortcuts = makeShortcuts(strings);
  const header = new Header(strings, () => shortcuts.showModal());
  const variables = new VariablesTab(strings, announce);
  const changes = new ChangesTab(strings);
  const closure = new ClosureTab(strings, announce);
  const paths = new PathsTab(strings);
  const tabs = makeTabs(
    strings.title,
    [
      { id: "variables", title: strings.variables, panel: variables.panel },
      { id: "changes", title: strings.changes, panel: changes.panel },
      { id: "closure", title: strings.closure, panel: closure.panel, onShow: () => closure.onShow() },
      { id: "paths", title: strings.paths, panel: paths.panel },
    ],
    (tab) => saveState({ tab }),
  );
  const main = element("main", { class: "view" }, header.element, ...tabs.elements);
  document.body.replaceChildren(main, live, shortcuts);
  const saved = savedState().tab;
  tabs.select(["changes", "closure", "paths"].find((id) => id === saved) ?? "variables");

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement;
    const isFind = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key === "f";
    if (isFind || (event.key === "/" && !isTyping)) {
      if (tabs.selected() === "variables") variables.focusFilter();
      else if (tabs.selected() === "closure") closure.focusFilter();
      else return;
      event.preventDefault();
    } else if (event.key === "?" && !isTyping && !shortcuts.open) shortcuts.showModal();
  });

  let model: ViewModel | undefined;
  const show = (shown: ViewModel): void => {
    model = shown;
    header.show(shown);
    variables.show(shown);
    changes.show(shown);
    paths.show(shown);
    const changed = (shown.changes?.changes.length ?? 0) + (shown.changes?.more ?? 0);
    tabs.setBadge("changes", changed === 0 ? "" : count(changed));
    closure.showModel(shown, tabs.selected() === "closure");
  };
  return {
    receive: (message) => {
      if (message.type === "model") show(message.model);
      else if (message.type === "state" && model !== undefined) {
        model = { ...model, state: message.state };
        header.show(model);
      } else if (message.type === "closure") closure.showClosure(message.closure);
      else if (message.type === "announce") announce(message.text);
    },
  };
}
