// l10n - collects what the extension says (`l10n.t(…)`) into l10n/bundle.l10n.json; takes from the other languages'
// bundles what is no longer said, and tells what they lack.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const EXTENSION = resolve(import.meta.dirname, "../vscode-extension");

/** Message or, with a comment, message/comment: the key of VS Code's bundles; sorted, each once. */
export function messagesOfSources(directory = join(EXTENSION, "src")): readonly string[] {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.tsx?$/.test(file),
  );
  const messages = files.flatMap((file) => messagesOf(readFileSync(join(directory, file), "utf8"), file));
  return [...new Set(messages)].sort();
}

/** @throws where a call's message is not written out: it could never be translated */
export function messagesOf(text: string, file: string): readonly string[] {
  const found: string[] = [];
  for (const call of text.matchAll(/\bl10n\s*\.\s*t\s*\(\s*/g)) {
    const start = call.index + call[0].length;
    const literal = literalAt(text, start);
    if (literal !== undefined) {
      found.push(literal);
      continue;
    }
    const fields = text[start] === "{" ? fieldsAt(text, start) : undefined;
    if (fields?.message === undefined) {
      const line = text.slice(0, start).split("\n").length;
      throw new Error(
        `Cannot translate ${file}:${line}: the message of l10n.t is not one string written out`,
      );
    }
    found.push(fields.comment === undefined ? fields.message : `${fields.message}/${fields.comment}`);
  }
  return found;
}

/** One or more string literals joined by `+`, up to `,` or `)`. */
function literalAt(text: string, start: number): string | undefined {
  const pattern = /\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.|\$(?!\{))*`)\s*/y;
  let message = "";
  pattern.lastIndex = start;
  for (;;) {
    const part = pattern.exec(text)?.[1];
    if (part === undefined) return undefined;
    message += valueOf(part);
    if (/[,)}\]]/.test(text[pattern.lastIndex] ?? "")) return message;
    if (text[pattern.lastIndex] !== "+") return undefined;
    pattern.lastIndex++;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  0: "\0",
};

function valueOf(literal: string): string {
  return literal
    .slice(1, -1)
    .replaceAll(
      /\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^]))/g,
      (_, long?: string, short?: string, byte?: string, character = "") => {
        const code = long ?? short ?? byte;
        if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
        return character === "\n" ? "" : (ESCAPES[character] ?? character);
      },
    );
}

function fieldsAt(
  text: string,
  start: number,
): { readonly message: string | undefined; readonly comment: string | undefined } {
  const fieldOf = (name: string): string | undefined => {
    const field = new RegExp(`[{,\\s]${name}:\\s*\\[?`, "y");
    for (let at = start; at < text.length && !text.startsWith("})", at); at++) {
      field.lastIndex = at;
      if (field.test(text)) return literalAt(text, field.lastIndex);
    }
    return undefined;
  };
  return { message: fieldOf("message"), comment: fieldOf("comment") };
}

if (import.meta.main) {
  const messages = messagesOfSources();
  const write = (file: string, bundle: readonly (readonly [string, string])[]): void =>
    writeFileSync(
      join(EXTENSION, "l10n", file),
      `${JSON.stringify(Object.fromEntries(bundle), undefined, 2)}\n`,
    );
  write(
    "bundle.l10n.json",
    messages.map((key) => [key, key]),
  );
  for (const file of readdirSync(join(EXTENSION, "l10n")).filter((name) => /\.l10n\.\w+\.json$/.test(name))) {
    const known = new Map(
      Object.entries(
        JSON.parse(readFileSync(join(EXTENSION, "l10n", file), "utf8")) as Record<string, string>,
      ),
    );
    write(
      file,
      messages.flatMap((key) => (known.has(key) ? [[key, known.get(key) ?? ""] as const] : [])),
    );
    const lacking = messages.filter((key) => !known.has(key));
    const unused = [...known.keys()].filter((key) => !messages.includes(key));
    process.stdout.write(`${file}: ${lacking.length} lacking, ${unused.length} unused and removed\n`);
    for (const key of lacking) process.stdout.write(`+ ${JSON.stringify(key)}\n`);
    for (const key of unused)
      process.stdout.write(`- ${JSON.stringify(key)}: ${JSON.stringify(known.get(key))}\n`);
  }
}
