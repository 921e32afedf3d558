import { storePathBaseName, storePathName, type Store, type StorePath } from "../../../store/index.ts";
import { printBytes, printLine } from "../output.ts";

const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const BRANCH = bytesOf("├───");
const LAST_BRANCH = bytesOf("└───");
const LINE = bytesOf("│   ");
const BLANK = "    ";
const COLOURS = ["black", "red", "green", "blue", "magenta", "burlywood"];

/** What is asked of a store, wherever it is. */
type GraphStore = Pick<Store, "topologicalSort"> & {
  pathInfo(path: StorePath): Pick<ReturnType<Store["pathInfo"]>, "narSizeBytes" | "references">;
};

/** `--tree`: what each path refers to, each shown in full once, flattened by topological order. */
export function printTree(store: GraphStore, roots: readonly StorePath[]): void {
  const done = new Set<StorePath>();
  const print = (path: StorePath, firstPad: string, tailPad: string): void => {
    if (done.has(path)) {
      printLine(`${firstPad}${path} [...]`);
      return;
    }
    done.add(path);
    printLine(`${firstPad}${path}`);
    // Users before what they use.
    const references = store.topologicalSort(store.pathInfo(path).references).toReversed();
    for (const [index, reference] of references.entries()) {
      const isLast = index === references.length - 1;
      print(reference, tailPad + (isLast ? LAST_BRANCH : BRANCH), tailPad + (isLast ? BLANK : LINE));
    }
  };
  for (const root of roots) print(root, "", "");
}

/** `--graph`: for Graphviz. */
export function printDotGraph(store: GraphStore, roots: readonly StorePath[]): void {
  let edges = 0;
  printLine("digraph G {");
  visit(store, roots, (path, references) => {
    const name = storePathBaseName(path);
    printLine(
      `"${name}" [label = "${storePathName(path)}", shape = box, style = filled, fillcolor = "#ff0000"];`,
    );
    for (const reference of references)
      printLine(
        `"${storePathBaseName(reference)}" -> "${name}" [color = "${COLOURS[edges++ % COLOURS.length]}"];`,
      );
  });
  printLine("}");
}

/** `--graphml`. */
export function printGraphMl(store: GraphStore, roots: readonly StorePath[]): void {
  printBytes(`<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns='http://graphml.graphdrawing.org/xmlns'
    xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'
    xsi:schemaLocation='http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd'>
<key id='narSize' for='node' attr.name='narSize' attr.type='long'/><key id='name' for='node' attr.name='name' attr.type='string'/><key id='type' for='node' attr.name='type' attr.type='string'/><graph id='G' edgedefault='directed'>
`);
  visit(store, roots, (path, references) => {
    const name = storePathName(path);
    printBytes(`  <node id="${storePathBaseName(path)}">
    <data key="narSize">${store.pathInfo(path).narSizeBytes}</data>
    <data key="name">${name.slice(0, name.indexOf("-") + 1)}</data>
    <data key="type">${path.endsWith(".drv") ? "derivation" : "output-path"}</data>
  </node>
`);
    for (const reference of references)
      printLine(`  <edge source="${storePathBaseName(path)}" target="${storePathBaseName(reference)}"/>`);
  });
  printLine("</graph>");
  printLine("</graphml>");
}

/** Every path that the roots need, the smallest by name of those known first, as Nix goes through them. */
function visit(
  store: GraphStore,
  roots: readonly StorePath[],
  see: (path: StorePath, references: readonly StorePath[]) => void,
): void {
  const todo = new Set(roots);
  const done = new Set<StorePath>();
  while (todo.size > 0) {
    const path = [...todo].reduce((least, candidate) => (candidate < least ? candidate : least));
    todo.delete(path);
    if (done.has(path)) continue;
    done.add(path);
    const references = store.pathInfo(path).references.filter((reference) => reference !== path);
    see(path, references);
    for (const reference of references) todo.add(reference);
  }
}
