import { element } from "./dom.ts";

/** `{0}`, `{1}` … of a localised text. */
export function format(text: string, ...values: readonly (string | number)[]): string {
  return text.replace(/\{(\d)\}/g, (all, index: string) => {
    const value = values[Number(index)];
    return value === undefined ? all : typeof value === "number" ? count(value) : value;
  });
}

export function count(value: number): string {
  return value.toLocaleString(document.documentElement.lang || "en");
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  for (; rest >= 1024 && unit < units.length - 1; unit += 1) rest /= 1024;
  const digits = unit === 0 || rest >= 100 ? 0 : 1;
  const locale = document.documentElement.lang || "en";
  return `${rest.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${units[unit]}`;
}

export function percent(part: number, whole: number): string {
  const share = whole === 0 ? 0 : part / whole;
  const digits = share < 0.0995 ? 1 : 0;
  const locale = document.documentElement.lang || "en";
  return share.toLocaleString(locale, {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function time(ms: number): string {
  return new Date(ms).toLocaleTimeString(document.documentElement.lang || "en");
}

/** What would not be seen, or would turn the text around it: controls, marks of direction, line ends. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with every invisible character named: one line, whatever the value is. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, visibleCharacter);
}

/** As {@link visible}, but line ends and tabs stay: for texts of several lines. */
export function visibleLines(text: string): string {
  return text.replace(INVISIBLE, (character) =>
    character === "\n" || character === "\t" ? character : visibleCharacter(character),
  );
}

function visibleCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code === 10) return "⏎";
  if (code < 32) return String.fromCharCode(0x2400 + code);
  if (code === 127) return "␡";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** The text, with what the filter found marked. */
export function marked(text: string, query: string): Node {
  const fragment = document.createDocumentFragment();
  if (query === "") {
    fragment.append(text);
    return fragment;
  }
  const lower = text.toLowerCase();
  // Some letters change their length in lower case: positions would be wrong.
  let at = lower.length === text.length ? lower.indexOf(query) : -1;
  let from = 0;
  for (; at >= 0 && fragment.childNodes.length < 20; at = lower.indexOf(query, from)) {
    fragment.append(text.slice(from, at), element("mark", {}, text.slice(at, at + query.length)));
    from = at + query.length;
  }
  fragment.append(text.slice(from));
  return fragment;
}

/** A store path's hash is dimmed, and given up first where space is short. */
export function pathText(text: string, query: string): Node {
  const shown = visible(text);
  const found = /^(.*?\/)([0-9a-z]{32}-)(.*)$/.exec(shown);
  if (query !== "" || found === null) return marked(shown, query);
  const [, store = "", hash = "", name = ""] = found;
  const fragment = document.createDocumentFragment();
  fragment.append(element("span", { class: "store" }, store), element("span", { class: "hash" }, hash), name);
  return fragment;
}
