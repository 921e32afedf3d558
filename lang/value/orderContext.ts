import type { ContextElement } from "../host.ts";

/** A context's elements in Nix's order: store paths, derivations with all they need, outputs; each kind by path. */
export function orderContext(context: Iterable<ContextElement>): ContextElement[] {
  return [...context]
    .map((element) => ({ element, key: orderKey(element) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ element }) => element);
}

/** As messages show it: `!out!/nix/store/…` is `/nix/store/…^out`. */
export function displayContextElement(element: string): string {
  if (element.startsWith("=")) return `${element.slice(1)} (deep)`;
  if (!element.startsWith("!")) return element;
  const end = element.indexOf("!", 1);
  return `${element.slice(end + 1)}^${element.slice(1, end)}`;
}

function orderKey(element: string): string {
  if (element.startsWith("=")) return `1${element.slice(1)}`;
  if (!element.startsWith("!")) return `0${element}`;
  const end = element.indexOf("!", 1);
  return `2${orderKey(element.slice(end + 1))}!${element.slice(1, end)}`;
}
