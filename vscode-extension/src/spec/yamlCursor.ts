import { FlowReader, unquoted, type OpenEnd } from "./flowReader.ts";
import type { SpecPath } from "./specTree.ts";

export interface YamlOpenEnd extends OpenEnd {
  /** A list's item is awaited, and its dash is not there yet. */
  readonly needsDash: boolean;
}

/** A block map or list that is open: what its column is, and where it stands. */
interface Block {
  readonly indent: number;
  readonly kind: "map" | "list";
  readonly path: SpecPath;
  /** The last key or index. */
  step: string | number;
  /** The key's value, or the item, is still to come on a further line. */
  isPending: boolean;
}

const KEY =
  /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s"'#[\]{},&*!|>%@`-][^#\n]*?|-[^\s#][^#\n]*?))[ \t]*:(?=[ \t]|$)/;

/**
 * What a YAML text, broken off at its end, would have gone on with: read line by line, by the columns, since that is
 * what people type by.
 */
export function yamlOpenEnd(text: string): YamlOpenEnd {
  return new YamlLines(text).read();
}

class YamlLines {
  readonly #text: string;
  readonly #blocks: Block[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  read(): YamlOpenEnd {
    const text = this.#text;
    let lineStart = text.startsWith("\uFEFF") ? 1 : 0;
    for (;;) {
      const lineEnd = text.indexOf("\n", lineStart);
      const isLast = lineEnd < 0;
      const line = text.slice(lineStart, isLast ? undefined : lineEnd).replace(/\r$/, "");
      const content = line.trimStart();
      const indent = line.length - content.length;
      if (/^(?:---|\.\.\.)(?:\s|$)/.test(line)) this.#blocks.length = 0;
      else if (content === "" || content.startsWith("#")) {
        if (isLast) return content === "" ? this.#atBlank(indent, lineStart + indent, "") : none(text);
      } else {
        const next = this.#readContent(lineStart + indent, indent, isLast ? text.length : lineEnd, isLast);
        if (typeof next !== "number") return next;
        // the value went on over further lines
        if (next > lineEnd && !isLast) {
          const end = text[next - 1] === "\n" ? next - 1 : text.indexOf("\n", next);
          if (end < 0) return none(text);
          lineStart = end + 1;
          continue;
        }
      }
      if (isLast) return none(text);
      lineStart = lineEnd + 1;
    }
  }

  /** @returns where the content ends, or what it leaves open at the text's end */
  #readContent(start: number, indent: number, end: number, isLast: boolean): number | YamlOpenEnd {
    const text = this.#text;
    const content = text.slice(start, end).replace(/\r$/, "");
    if (/^-(?:[ \t]|$)/.test(content)) {
      this.#startItem(indent);
      const rest = content.slice(1).trimStart();
      const restStart = start + content.length - rest.length;
      if (rest === "" || rest.startsWith("#")) {
        if (!isLast) return end;
        // `-` alone: the blank after it is still to be typed
        return rest === "" && content !== "-" ? { ...this.#valueEnd(text.length), quote: "" } : none(text);
      }
      return this.#readContent(restStart, indent + restStart - start, end, isLast);
    }
    const key = KEY.exec(content);
    if (key !== null) {
      const name = key[3] ?? unquoted(key[1] === undefined ? `'${key[2] ?? ""}'` : `"${key[1]}"`);
      this.#startKey(indent, name);
      const rest = content.slice(key[0].length).trimStart();
      const at = start + content.length - rest.length;
      if (rest === "" || rest.startsWith("#")) {
        if (!isLast) return end;
        return rest === "" && /[ \t]$/.test(content) ? { ...this.#valueEnd(text.length) } : none(text);
      }
      return this.#readValue(at, end, isLast);
    }
    if (isLast && !/^(?:- |[[{|>&*!])/.test(content)) {
      const top = this.#blocks.at(-1);
      // in an item's place: `- gc`
      if (top?.kind === "list" && top.isPending && top.indent < indent)
        return this.#readValue(start, end, true);
      return this.#atBlank(indent, start, content);
    }
    return this.#readValue(start, end, isLast);
  }

  #readValue(start: number, end: number, isLast: boolean): number | YamlOpenEnd {
    const text = this.#text;
    const top = this.#blocks.at(-1);
    const path = top === undefined ? [] : [...top.path, top.step];
    if (top !== undefined) top.isPending = false;
    const char = text[start];
    if (char === "|" || char === ">") return this.#skipBlockScalar(end, top?.indent ?? -1);
    if (char === "{" || char === "[" || char === '"' || char === "'") {
      const reader = new FlowReader(text, start, "yaml");
      reader.readValue(path);
      if (reader.openEnd !== undefined) return { ...reader.openEnd, needsDash: false };
      return Math.max(reader.offset, end);
    }
    if (!isLast) return end;
    const word = text.slice(start);
    if (/[ \t]#|[ \t]$/.test(word)) return none(text);
    return { role: "value", path, start, quote: "", needsDash: false };
  }

  #skipBlockScalar(headEnd: number, indent: number): number | YamlOpenEnd {
    const text = this.#text;
    let end = headEnd;
    while (end < text.length) {
      const next = text.indexOf("\n", end + 1);
      const line = text.slice(end + 1, next < 0 ? undefined : next);
      const isBlank = line.trim() === "";
      if (next < 0 && isBlank && line.length <= indent) return end;
      if (!isBlank && line.length - line.trimStart().length <= indent) return end;
      if (next < 0 && (!isBlank || line.length > indent)) return none(text);
      end = next;
    }
    return none(text);
  }

  #startKey(indent: number, name: string): void {
    this.#closeTo(indent);
    let top = this.#blocks.at(-1);
    if (top !== undefined && top.indent === indent && top.kind === "list") {
      this.#blocks.pop();
      top = this.#blocks.at(-1);
    }
    if (top !== undefined && top.indent === indent) {
      top.step = name;
      top.isPending = true;
      return;
    }
    const path = top === undefined ? [] : [...top.path, top.step];
    this.#blocks.push({ indent, kind: "map", path, step: name, isPending: true });
  }

  #startItem(indent: number): void {
    this.#closeTo(indent);
    const top = this.#blocks.at(-1);
    if (top?.kind === "list" && top.indent === indent) {
      top.step = Number(top.step) + 1;
      top.isPending = true;
      return;
    }
    const path = top === undefined ? [] : [...top.path, top.step];
    if (top !== undefined) top.isPending = false;
    this.#blocks.push({ indent, kind: "list", path, step: 0, isPending: true });
  }

  #closeTo(indent: number): void {
    while ((this.#blocks.at(-1)?.indent ?? -1) > indent) this.#blocks.pop();
  }

  #valueEnd(start: number): YamlOpenEnd {
    const top = this.#blocks.at(-1);
    const path = top === undefined ? [] : [...top.path, top.step];
    return { role: "value", path, start, quote: "", needsDash: false };
  }

  /** A line that has nothing yet, or a word without a colon: a key or an item, as the column says. */
  #atBlank(indent: number, start: number, word: string): YamlOpenEnd {
    if (/\s/.test(word.trimStart())) return none(this.#text);
    const quote = word.startsWith('"') ? '"' : word.startsWith("'") ? "'" : "";
    this.#closeTo(indent);
    const map = this.#blocks.findLast((block) => block.kind === "map" && block.indent === indent);
    if (map !== undefined) return { role: "key", path: map.path, start, quote, needsDash: false };
    const top = this.#blocks.at(-1);
    if (top === undefined) return { role: "key", path: [], start, quote, needsDash: false };
    if (top.kind === "list" && top.indent === indent)
      return {
        role: "value",
        path: [...top.path, Number(top.step) + 1],
        start,
        quote,
        needsDash: true,
      };
    // deeper than the last key, whose value is there already: it can only go on
    if (!top.isPending) return none(this.#text);
    return { role: "key", path: [...top.path, top.step], start, quote, needsDash: true };
  }
}

function none(text: string): YamlOpenEnd {
  return { role: "none", path: [], start: text.length, quote: "", needsDash: false };
}
