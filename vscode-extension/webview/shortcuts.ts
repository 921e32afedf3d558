import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element, iconButton } from "./dom.ts";

/** The list of keys; Escape closes it, and gives the focus back. */
export function makeShortcuts(strings: ViewStrings): HTMLDialogElement {
  const keys: readonly (readonly [string, string])[] = [
    ["Ctrl+F  /", strings.keyFilter],
    ["← →", strings.keyTabs],
    ["↑ ↓  Page Up  Page Down  Home  End", strings.keyRows],
    ["→ ←", strings.keyExpand],
    ["Enter", strings.keyDetails],
    ["F12", strings.keyOrigin],
    ["Ctrl+C", strings.keyCopyValue],
    ["Shift+Alt+C", strings.keyCopyName],
    ["+", strings.keyZoom],
    ["Esc", strings.keyEscape],
    ["?", strings.keyHelp],
  ];
  const dialog = element(
    "dialog",
    { class: "shortcuts", "aria-label": strings.shortcuts },
    element(
      "div",
      { class: "details-title" },
      element("h2", {}, strings.shortcuts),
      iconButton("close", strings.close, () => dialog.close()),
    ),
    element(
      "dl",
      {},
      ...keys.map(([key, text]) =>
        element(
          "div",
          {},
          element("dt", {}, ...key.split("  ").map((one) => element("kbd", {}, one))),
          element("dd", {}, text),
        ),
      ),
    ),
  );
  return dialog;
}
