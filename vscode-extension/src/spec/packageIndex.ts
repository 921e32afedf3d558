import type { PackagesReport } from "../../../cli/protocol/types.ts";
import type { SpecDocument } from "./specDocument.ts";
import { suggestNames } from "./suggestNames.ts";

type Package = PackagesReport["packages"][number];

/** The CLI reads the saved spec, which may be older than the document, or broken: it is told the document's collection. */
export function packagesArguments({ data }: Pick<SpecDocument, "data">, prefix: string): string[] {
  const { value } = data ?? {};
  const isMap = typeof value === "object" && value !== null;
  const name = isMap && "collection" in value ? value.collection : DEFAULT_COLLECTION;
  // What cannot be read now is as it was saved.
  const isKnown = data !== undefined && typeof name === "string" && name !== "";
  return ["packages", "--json", ...(isKnown ? [`--collection=${name}`] : []), "--", prefix];
}

/** Asks the CLI. @returns undefined where it cannot tell */
export type PackageSource = (prefix: string, signal: AbortSignal) => Promise<PackagesReport | undefined>;

/** Answers are kept so long: a collection changes with `devshell update` only. */
const MAX_AGE_MS = 10 * 60 * 1000;
const MAX_ANSWERS = 200;
const MAX_VERSIONS = 4;
/** As the schema says. */
const DEFAULT_COLLECTION = "debian";

/** What a collection's packages are called: answers of the CLI, kept; equal questions at a time asked once. */
export class PackageIndex {
  readonly #source: PackageSource;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly atMs: number; readonly report: PackagesReport }>();
  readonly #asked = new Map<string, Question>();

  constructor(source: PackageSource, now: () => number = Date.now) {
    this.#source = source;
    this.#now = now;
  }

  /** Packages whose names begin so; `isTruncated`: there are more. */
  async find(prefix: string, signal: AbortSignal): Promise<PackagesReport | undefined> {
    return this.#known(prefix) ?? (await this.#ask(prefix, signal));
  }

  /** @returns `null`: there is none of this name; undefined: it cannot be told */
  async get(name: string, signal: AbortSignal): Promise<Package | null | undefined> {
    const report = await this.find(name, signal);
    if (report === undefined) return undefined;
    return report.packages.find((one) => one.name === name) ?? (report.isTruncated ? undefined : null);
  }

  /** What may be meant by an item, `name` or `name@version`, that there is not: a near name, another version. */
  async suggest(item: string, signal: AbortSignal): Promise<string[]> {
    const at = item.indexOf("@", 1);
    const [name, version] = at < 0 ? [item, ""] : [item.slice(0, at), item.slice(at)];
    const known = version === "" ? undefined : await this.get(name, signal);
    if (known !== undefined && known !== null)
      return [...known.versions.slice(0, MAX_VERSIONS).map((one) => `${name}@${one}`), name];
    for (const length of [3, 2]) {
      if (name.length < length) continue;
      const report = await this.find(name.slice(0, length), signal);
      const near = suggestNames(name, report?.packages.map((one) => one.name) ?? []);
      if (near.length > 0) return near.map((one) => `${one}${version}`);
    }
    return [];
  }

  /** The spec's collection is another one now. */
  clear(): void {
    this.#answers.clear();
  }

  #known(prefix: string): PackagesReport | undefined {
    for (let length = prefix.length; length >= 0; length--) {
      const answer = this.#answers.get(prefix.slice(0, length));
      if (answer === undefined || this.#now() - answer.atMs > MAX_AGE_MS) continue;
      if (length === prefix.length) return answer.report;
      // a shorter beginning's whole answer holds the longer one's
      if (answer.report.isTruncated) continue;
      const packages = answer.report.packages.filter(({ name }) => name.startsWith(prefix));
      return { ...answer.report, packages };
    }
    return undefined;
  }

  async #ask(prefix: string, signal: AbortSignal): Promise<PackagesReport | undefined> {
    signal.throwIfAborted();
    let question = this.#asked.get(prefix);
    if (question === undefined) {
      question = new Question((own) => this.#source(prefix, own));
      this.#asked.set(prefix, question);
      const asked = question;
      const forget = (): void => {
        if (this.#asked.get(prefix) === asked) this.#asked.delete(prefix);
      };
      asked.controller.signal.addEventListener("abort", forget, { once: true });
      asked.answer.then((report) => {
        forget();
        if (report !== undefined) this.#keep(prefix, report);
      }, forget);
    }
    return await question.wait(signal);
  }

  #keep(prefix: string, report: PackagesReport): void {
    this.#answers.delete(prefix);
    this.#answers.set(prefix, { atMs: this.#now(), report });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MAX_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
  }
}

/** One question under way; given up once nobody waits for it. */
class Question {
  readonly controller = new AbortController();
  readonly answer: Promise<PackagesReport | undefined>;
  #waiting = 0;

  constructor(ask: (signal: AbortSignal) => Promise<PackagesReport | undefined>) {
    this.answer = ask(this.controller.signal);
  }

  async wait(signal: AbortSignal): Promise<PackagesReport | undefined> {
    this.#waiting++;
    let stop: (() => void) | undefined;
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason as Error);
      signal.addEventListener("abort", stop, { once: true });
    });
    try {
      return await Promise.race([this.answer, stopped]);
    } finally {
      if (stop !== undefined) signal.removeEventListener("abort", stop);
      if (--this.#waiting === 0) this.controller.abort();
    }
  }
}
