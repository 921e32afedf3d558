import type { VariableModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element, iconButton, textButton } from "./dom.ts";
import { post } from "./host.ts";
import { format, pathText, visible, visibleLines } from "./text.ts";
import { isList } from "./variableRows.ts";

/** All that is known of one variable; of a secret everything but its value. */
export function variableDetails(
  variable: VariableModel,
  strings: ViewStrings,
  onClose: () => void,
): HTMLElement {
  const { name, action, value, isSecret, origin, where } = variable;
  const notes = [
    isSecret && strings.secretHint,
    action === "unset" && strings.unsetHint,
    action === "prepend" && strings.prependHint,
    value?.isCut === true && format(strings.cut, value.text.length, value.length),
    value?.isBinary === true && strings.binary,
  ].filter((note) => note !== false);
  return element(
    "aside",
    { class: "details", "aria-label": format(strings.details, visible(name)) },
    element(
      "div",
      { class: "details-title" },
      element("h2", {}, visible(name)),
      iconButton("close", strings.closeDetails, onClose),
    ),
    element(
      "p",
      { class: "facts" },
      element("span", { class: "dim" }, strings.origin),
      element("span", { dir: "auto" }, visible(origin)),
      where !== undefined &&
        element(
          "button",
          {
            type: "button",
            class: "link",
            "aria-label": format(strings.openOrigin, visible(where)),
            on: { click: () => post({ type: "openOrigin", name }) },
          },
          visible(where),
        ),
    ),
    element(
      "div",
      { class: "details-actions" },
      action !== "unset" &&
        textButton(isSecret ? strings.copySecret : strings.copyValue, () =>
          post({ type: "copyValue", name }),
        ),
      textButton(strings.copyName, () => post({ type: "copyName", name })),
    ),
    ...notes.map((note) => element("p", { class: "dim" }, note)),
    valueBlock(variable, strings),
  );
}

function valueBlock(
  { action, isSecret, value }: VariableModel,
  strings: ViewStrings,
): HTMLElement | undefined {
  if (action === "unset" || value === undefined)
    return isSecret && action !== "unset"
      ? element("p", { class: "mask value-text", role: "img", "aria-label": strings.secret }, "••••••••")
      : undefined;
  if (value.text === "") return element("p", { class: "note" }, strings.empty);
  if (!isList(value))
    // To be scrolled by the keyboard.
    return element(
      "pre",
      { class: "value-text", tabindex: 0, "aria-label": strings.value },
      visibleLines(value.text),
    );
  const { elements = [], moreElements } = value;
  return element(
    "ol",
    { class: "value-list" },
    ...elements.map((text) =>
      element(
        "li",
        {},
        text === "" ? element("span", { class: "note" }, strings.emptyElement) : pathText(text, ""),
      ),
    ),
    moreElements > 0 && element("li", { class: "note" }, format(strings.moreElements, moreElements)),
    action === "prepend" && element("li", { class: "note" }, strings.ownValue),
  );
}
