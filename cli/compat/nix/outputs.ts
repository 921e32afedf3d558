import { DevshellError } from "../../../core/index.ts";

/** Output names that were asked for; undefined: those that the package wants installed. */
export type Outputs = readonly string[] | "*" | undefined;

/** `x^out,dev`, `x^*`: a word and the outputs it names. @throws {DevshellError} `CLI_OUTPUTS` */
export function splitOutputs(word: string): { readonly prefix: string; readonly outputs: Outputs } {
  const at = word.lastIndexOf("^");
  if (at < 0) return { prefix: word, outputs: undefined };
  const prefix = word.slice(0, at);
  const text = word.slice(at + 1);
  if (text === "*") return { prefix, outputs: "*" };
  const names = text.split(",");
  if (!names.every((name) => NAME.test(name)))
    throw new DevshellError("CLI_OUTPUTS", `invalid extended outputs specifier '${word}'`);
  return { prefix, outputs: [...new Set(names)].toSorted() };
}

const NAME = /^(?!\.{1,2}(?:-|$))[0-9A-Za-z+\-._?=]{1,211}$/;
