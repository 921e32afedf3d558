import type { VariableReport } from "../../../cli/protocol/types.ts";
import type { FolderState } from "../model.ts";
import type { ValueModel } from "./viewMessages.ts";

/** Characters of one value that the view gets; the whole of it is copied, never shown. */
export const SHOWN_LENGTH = 4000;
export const SHOWN_ELEMENTS = 500;
/** A secret of fewer characters is looked for in no other text: `1` would mask half of them. */
const REDACTED_LENGTH = 6;
export const MASK = "••••••••";

/** Replaces every secret's value in a text. */
export type Redact = (text: string) => string;

/**
 * Secrets turn up in other variables too (a URL that holds the password), in scripts and in messages.
 * @param texts all that {@link Redact} will be asked for: secrets that are in none of them are not looked for again
 */
export function makeRedact(variables: readonly VariableReport[], texts: readonly string[]): Redact {
  const secrets = new Set<string>();
  for (const variable of variables)
    if (variable.isSecret && variable.action !== "unset" && variable.value.length >= REDACTED_LENGTH)
      secrets.add(variable.value);
  if (secrets.size === 0) return (text) => text;
  const found = secretsIn(texts.join("\0"), secrets).sort((a, b) => b.length - a.length);
  return (text) => {
    let redacted = text;
    for (const secret of found)
      if (redacted.includes(secret)) redacted = redacted.replaceAll(secret, () => MASK);
    return redacted;
  };
}

/** Everything of variables that is shown as text, for {@link makeRedact}. */
export function textsOf(variables: readonly VariableReport[]): string[] {
  return variables.flatMap((variable) => [
    ...(variable.action === "unset" || variable.isSecret ? [] : [variable.value]),
    variable.origin.detail ?? "",
  ]);
}

/** The same of a state. */
export function stateTexts(state: FolderState): string[] {
  if (state.kind === "failed") return [state.error.message, state.error.hint ?? ""];
  return "progress" in state ? [state.progress?.text ?? ""] : [];
}

/** @returns undefined for what has no value, and for what must not be shown */
export function shownValue(variable: VariableReport, redact: Redact, length: number): ValueModel | undefined {
  if (variable.action === "unset" || variable.isSecret) return undefined;
  const whole = redact(variable.value);
  const elements = elementsOf({ ...variable, value: whole });
  const shownElements = elements?.slice(0, SHOWN_ELEMENTS).map((element) => beginning(element, length));
  return {
    text: beginning(whole, length),
    length: variable.value.length,
    isCut: whole.length > length,
    isBinary: variable.base64 !== undefined,
    elements: shownElements,
    moreElements: (elements?.length ?? 0) - (shownElements?.length ?? 0),
  };
}

/** The elements of a list of paths, as in `PATH`; undefined: it is none. */
export function elementsOf(variable: VariableReport): readonly string[] | undefined {
  if (variable.action === "unset" || variable.value === "") return undefined;
  const separator = variable.action === "prepend" ? variable.separator : ":";
  if (separator === "") return undefined;
  const elements = variable.value.split(separator);
  if (variable.action === "prepend") return elements;
  const isNamedSo = /(?:PATH|DIRS)$/.test(variable.name);
  const arePaths = elements.every((element) => element === "" || element.startsWith("/"));
  return arePaths && (isNamedSo || elements.length > 1) ? elements : undefined;
}

/** At most `length` characters, no half of a pair. */
export function beginning(text: string, length: number): string {
  if (text.length <= length) return text.toWellFormed();
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length).toWellFormed();
}

/** One pass over the text, however many secrets: by `includes`, 1000 of them in 1 MB took a second. */
function secretsIn(text: string, secrets: ReadonlySet<string>): string[] {
  const byBeginning = new Map<number, string[]>();
  for (const secret of secrets) {
    const hash = hashAt(secret, 0);
    const others = byBeginning.get(hash);
    if (others === undefined) byBeginning.set(hash, [secret]);
    else others.push(secret);
  }
  const found = new Set<string>();
  for (let at = 0; at + REDACTED_LENGTH <= text.length; at += 1) {
    const candidates = byBeginning.get(hashAt(text, at));
    if (candidates === undefined) continue;
    for (const secret of candidates) if (text.startsWith(secret, at)) found.add(secret);
  }
  return [...found];
}

function hashAt(text: string, start: number): number {
  let hash = 0;
  for (let at = start; at < start + REDACTED_LENGTH; at += 1)
    hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}
