export type Child = Node | string | undefined | false;
type Listener<Name extends keyof HTMLElementEventMap> = (event: HTMLElementEventMap[Name]) => void;
type Attributes = { readonly [name: string]: string | number | boolean | undefined } & {
  readonly on?: { readonly [Name in keyof HTMLElementEventMap]?: Listener<Name> } | undefined;
};

/** Makes an element; data becomes text nodes and attribute values only, never markup. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: { readonly [name: string]: unknown } & Pick<Attributes, "on"> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...present(children));
  return made;
}

/** `undefined` and `false` take an attribute away; `aria-` ones are written as `true` and `false`. */
export function setAttributes(
  target: Element,
  attributes: { readonly [name: string]: unknown } & Pick<Attributes, "on">,
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(attributes.on ?? {}))
        target.addEventListener(event, listener as EventListener);
    } else if (value === undefined || (value === false && !name.startsWith("aria-"))) {
      target.removeAttribute(name);
    } else if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      target.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
    }
  }
}

export function replaceChildren(target: Element, ...children: readonly Child[]): void {
  target.replaceChildren(...present(children));
}

function present(children: readonly Child[]): (Node | string)[] {
  return children.filter((child) => child !== undefined && child !== false);
}

/** On a grid of 16 × 16, strokes only: they take the text's colour in every theme. */
const ICONS = {
  reload: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  stop: "M4.5 4.5h7v7h-7z",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3",
  tag: "M2.5 2.5h5l6 6-5 5-6-6zM5 5v.01",
  goTo: "M6 3.5H3.5v9h9V10M9 3.5h3.5V7M12.5 3.5l-5 5",
  chevron: "M6 4l4 4-4 4",
  lock: "M4 7.5h8v6H4zM5.7 7.5V5a2.3 2.3 0 0 1 4.6 0v2.5",
  keyboard: "M1.5 4.5h13v7h-13zM4 7v.01M6.7 7v.01M9.3 7v.01M12 7v.01M5 9.5h6",
  group: "M2.5 3.5h5M5 6.5h8.5M5 9.5h8.5M5 12.5h8.5",
  expand: "M4 6l4-3.5L12 6M4 10l4 3.5 4-3.5",
  collapse: "M4 2.5L8 6l4-3.5M4 13.5L8 10l4 3.5",
  zoomIn: "M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0zM10.3 10.3l3.2 3.2M7 5v4M5 7h4",
  warning: "M8 2.5l6 11H2zM8 6.5V10M8 11.8v.01",
} as const;
export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  setAttributes(svg, { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" });
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon alone; its label is its name and its tooltip. */
export function iconButton(
  name: IconName,
  label: string,
  onClick: (event: MouseEvent) => void,
  attributes: { readonly [name: string]: unknown } = {},
): HTMLButtonElement {
  return element(
    "button",
    {
      type: "button",
      class: "icon-button",
      "aria-label": label,
      title: label,
      ...attributes,
      on: { click: onClick },
    },
    icon(name),
  );
}

export function textButton(
  label: string,
  onClick: () => void,
  attributes: { readonly [name: string]: unknown } = {},
): HTMLButtonElement {
  return element("button", { type: "button", class: "button", ...attributes, on: { click: onClick } }, label);
}
