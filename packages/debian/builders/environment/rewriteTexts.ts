import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { fsPath } from "../../../../core/index.ts";
import { resolveInTree, writeNode, type Tree } from "./mergeTree.ts";
import { isRewritable, rewriteText, type TreeNames } from "./rewriteText.ts";

const MAX_TEXT_BYTES = 4_000_000;

/** Applies {@link rewriteText} to every text of the tree; what changes becomes the environment's own file. */
export function rewriteTexts(tree: Tree): number {
  const names = treeNames(tree);
  let count = 0;
  for (const [path, node] of tree.nodes) {
    if (node.kind !== "file" || !node.file.isText || node.file.sizeBytes > MAX_TEXT_BYTES) continue;
    if (!isRewritable(node.file)) continue;
    const text = readFileSync(fsPath(tree.root + path), "latin1");
    const changed = rewriteText(node.file, text, tree.root, names);
    if (changed === text) continue;
    writeNode(tree, path, changed, node.file.isExecutable);
    count++;
  }
  return count;
}

function treeNames(tree: Tree): TreeNames {
  const children = new Map<string, string[]>();
  for (const path of tree.nodes.keys()) {
    const parent = posix.dirname(path);
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [posix.basename(path)]);
    else list.push(posix.basename(path));
  }
  return {
    has: (path) => tree.nodes.has(path) || resolveInTree(tree, path) !== undefined,
    hasPrefix: (path) => {
      const parent = posix.dirname(path);
      const name = posix.basename(path);
      if (name.length < 3 || parent === "/usr") return false;
      return children.get(parent)?.some((sibling) => sibling.startsWith(name)) ?? false;
    },
  };
}
