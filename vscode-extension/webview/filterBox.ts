import { element, iconButton } from "./dom.ts";

export interface FilterBox {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  set(text: string): void;
}

/** A box that narrows a list; Escape empties it, the arrow down goes to the list. */
export function makeFilterBox(
  label: string,
  clearLabel: string,
  onFilter: (text: string) => void,
  toList: () => void,
): FilterBox {
  const set = (text: string): void => {
    input.value = text;
    clear.hidden = text === "";
    onFilter(text);
  };
  const input = element("input", {
    type: "text",
    class: "input",
    placeholder: label,
    "aria-label": label,
    spellcheck: "false",
    autocomplete: "off",
    on: {
      input: () => set(input.value),
      keydown: (event) => {
        if (event.key === "Escape" && input.value !== "") {
          event.stopPropagation();
          set("");
        } else if (event.key === "ArrowDown") {
          event.preventDefault();
          toList();
        }
      },
    },
  });
  const clear = iconButton("close", clearLabel, () => {
    set("");
    input.focus();
  });
  clear.hidden = true;
  return { element: element("div", { class: "filter" }, input, clear), input, set };
}
