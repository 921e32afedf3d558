import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { bytesOfText, fsPath, type ByteString } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import type { DerivedPath, Store, StorePath } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printLine, say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { builtPathsOf } from "./builtPaths.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix why-depends PACKAGE DEPENDENCY`: the shortest chain of references from one to the other, or all. */
export async function whyDepends(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let isAll = false;
  let isPrecise = false;
  let isDerivation = false;
  const flags = parseCommandLine("nix why-depends", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "-a" || word === "--all") isAll = true;
    else if (word === "--precise") isPrecise = true;
    else if (word === "--derivation") isDerivation = true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [packageWord, dependencyWord] = words;
  if (packageWord === undefined || dependencyWord === undefined || words.length > 2)
    throw usageError("nix why-depends", "expected a package and a dependency");
  using context = openInstallableContext(flags, installables, { name: "nix why-depends" });
  const targets = [packageWord, dependencyWord].map((word) =>
    oneTarget(targetsOf(context, flags, installables, [word]), word),
  );
  const [target, dependencyTarget] = targets;
  if (target === undefined || dependencyTarget === undefined) throw new Error("a word has no target");
  if (!isDerivation) {
    const report = await context.tryRealise([target]);
    if (report.failures.length > 0) return reportFailures(report) > 0 ? 1 : 0;
  }
  const from = pathOf(context, target, isDerivation);
  const to = pathOf(context, dependencyTarget, isDerivation);
  const { store } = context;
  if (from === undefined || to === undefined || !store.closureOf([from]).includes(to)) {
    say(bytesOfText(`'${packageWord}' does not depend on '${dependencyWord}'`));
    return 0;
  }
  new ChainPrinter(store, from, to, { isAll, isPrecise }).print();
  return 0;
}

function oneTarget(targets: readonly DerivedPath[], word: string): DerivedPath {
  const [target] = targets;
  if (target === undefined || targets.length > 1)
    throw usageError("nix why-depends", `argument '${word}' should evaluate to one store path`);
  return target;
}

function pathOf(context: StoreContext, target: DerivedPath, isDerivation: boolean): StorePath | undefined {
  if (isDerivation && target.kind === "built") return target.drvPath;
  return builtPathsOf(context, target)[0]?.[1];
}

const LAST = "└───";
const MORE = "├───";
const LINE = "│   ";
const NONE = "    ";
/** Bytes of context on either side of a reference. */
const MARGIN = 32;
const GREY = "\u001B[38;5;244m";
const PLAIN = "\u001B[0m";

/** Prints the paths between two store paths, nearest to the second first. */
class ChainPrinter {
  readonly #store: Store;
  readonly #from: StorePath;
  readonly #to: StorePath;
  readonly #isAll: boolean;
  readonly #isPrecise: boolean;
  readonly #references = new Map<StorePath, readonly StorePath[]>();
  readonly #distances = new Map<StorePath, number>();
  readonly #visited = new Set<StorePath>();

  constructor(
    store: Store,
    from: StorePath,
    to: StorePath,
    { isAll, isPrecise }: { readonly isAll: boolean; readonly isPrecise: boolean },
  ) {
    this.#store = store;
    this.#from = from;
    this.#to = to;
    this.#isAll = isAll;
    this.#isPrecise = isPrecise;
    const referrers = new Map<StorePath, StorePath[]>();
    for (const path of store.closureOf([from])) {
      const references = store.pathInfo(path).references.toSorted();
      this.#references.set(path, references);
      for (const reference of references)
        referrers.set(reference, [...(referrers.get(reference) ?? []), path]);
    }
    this.#distances.set(to, 0);
    const queue = [to];
    for (let path = queue.shift(); path !== undefined; path = queue.shift())
      for (const referrer of referrers.get(path) ?? []) {
        if (this.#distances.has(referrer)) continue;
        this.#distances.set(referrer, (this.#distances.get(path) ?? 0) + 1);
        queue.push(referrer);
      }
  }

  print(): void {
    if (!this.#isPrecise) printLine(this.#from);
    this.#printNode(this.#from, "");
  }

  /** @returns whether the dependency was reached, and that is enough */
  #printNode(path: StorePath, pad: string): boolean {
    if (this.#isPrecise)
      printLine(
        `${bytesOfText(`${pad}${this.#grey(path)}${pad === "" ? "" : "→ "}`)}${path}${this.#plain()}`,
      );
    if (path === this.#to && !this.#isAll && this.#from !== this.#to) return true;
    if (this.#visited.has(path)) return false;
    this.#visited.add(path);
    const references = this.#nearestFirst(path);
    const hits = this.#isPrecise ? this.#hitsIn(path, references) : new Map<StorePath, ByteString[]>();
    for (const [index, reference] of references.entries()) {
      const isLast = !this.#isAll || index === references.length - 1;
      for (const [count, hit] of (hits.get(reference) ?? []).entries()) {
        const branch = count === 0 ? (isLast ? LAST : MORE) : isLast ? NONE : LINE;
        printLine(`${bytesOfText(pad + branch)}${hit}`);
        if (!this.#isAll) break;
      }
      if (!this.#isPrecise)
        printLine(
          `${bytesOfText(pad + this.#grey(reference) + (isLast ? LAST : MORE))}${reference}${this.#plain()}`,
        );
      if (this.#printNode(reference, pad + (isLast ? NONE : LINE))) return true;
    }
    return false;
  }

  #nearestFirst(path: StorePath): StorePath[] {
    const distance = (each: StorePath): number => this.#distances.get(each) ?? Infinity;
    return (this.#references.get(path) ?? [])
      .filter((each) => this.#distances.has(each) && (each !== path || this.#from === this.#to))
      .toSorted((a, b) => distance(a) - distance(b));
  }

  /** Where in a path's files and links its references stand. */
  #hitsIn(path: StorePath, references: readonly StorePath[]): Map<StorePath, ByteString[]> {
    const hits = new Map<StorePath, ByteString[]>();
    const add = (reference: StorePath, hit: ByteString): void => {
      hits.set(reference, [...(hits.get(reference) ?? []), hit]);
    };
    const start = this.#store.storeDir.length + 1;
    const root = this.#store.realPath(path);
    const visit = (place: ByteString, name: ByteString): void => {
      const file = fsPath(place);
      const stat = lstatSync(file);
      if (stat.isDirectory()) {
        for (const entry of readdirSync(file, "latin1").toSorted())
          visit(`${place}/${entry}`, name === "" ? entry : `${name}/${entry}`);
        return;
      }
      const text = stat.isSymbolicLink() ? readlinkSync(file, "latin1") : readFileSync(file, "latin1");
      const shown = name === "" ? "/" : name;
      for (const reference of references) {
        const hash = reference.slice(start, start + 32);
        const at = text.indexOf(hash);
        if (at < 0) continue;
        if (stat.isSymbolicLink()) {
          add(reference, `${shown} -> ${this.#coloured(text, at, reference)}`);
          continue;
        }
        const from = Math.max(0, at - MARGIN);
        const context = text.slice(from, at + hash.length + MARGIN).replace(/[^ -~]/g, ".");
        const dots = bytesOfText("…");
        add(reference, `${shown}: ${dots}${this.#coloured(context, at - from, reference)}${dots}`);
      }
    };
    visit(root, "");
    return hits;
  }

  #coloured(text: ByteString, at: number, reference: StorePath): ByteString {
    if (!process.stdout.isTTY) return text;
    const colour = reference === this.#to ? "\u001B[32;1m" : "\u001B[34;1m";
    return `${text.slice(0, at)}${colour}${text.slice(at, at + 32)}${PLAIN}${text.slice(at + 32)}`;
  }

  #grey(path: StorePath): string {
    return process.stdout.isTTY && this.#visited.has(path) ? GREY : "";
  }

  #plain(): string {
    return process.stdout.isTTY ? PLAIN : "";
  }
}
