import { textOfBytes, shownUrl } from "../../core/index.ts";
import {
  allInputs,
  comparePaths,
  isFollowed,
  isSameReference,
  showInputPath,
  showReference,
  type LockEdge,
  type LockNode,
} from "../../lang/index.ts";

const GREEN = "\u001B[32;1m";
const RED = "\u001B[31;1m";
const BOLD = "\u001B[1m";
const PLAIN = "\u001B[0m";

/** What changed between two lock files, input by input, as Nix tells it; in colours. */
export function describeLockChanges(before: LockNode, after: LockNode): string {
  const old = allInputs(before);
  const now = allInputs(after);
  let text = "";
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const [oldPath, oldEdge] = old[i] ?? [];
    const [newPath, newEdge] = now[j] ?? [];
    const order = oldPath === undefined ? 1 : newPath === undefined ? -1 : comparePaths(oldPath, newPath);
    if (order > 0 && newPath !== undefined && newEdge !== undefined) {
      text += `• ${GREEN}Added input '${showInputPath(newPath)}':${PLAIN}\n    ${describe(newEdge)}\n`;
      j++;
    } else if (order < 0 && oldPath !== undefined) {
      text += `• ${RED}Removed input '${showInputPath(oldPath)}'${PLAIN}\n`;
      i++;
    } else {
      if (
        oldPath !== undefined &&
        oldEdge !== undefined &&
        newEdge !== undefined &&
        !isSame(oldEdge, newEdge)
      )
        text += `• ${BOLD}Updated input '${showInputPath(oldPath)}':${PLAIN}\n    ${describe(oldEdge)}\n  → ${describe(newEdge)}\n`;
      i++;
      j++;
    }
  }
  return text;
}

function isSame(a: LockEdge, b: LockEdge): boolean {
  if (isFollowed(a) || isFollowed(b)) return isFollowed(a) && isFollowed(b) && comparePaths(a, b) === 0;
  return a.pin !== undefined && b.pin !== undefined && isSameReference(a.pin.locked, b.pin.locked);
}

function describe(edge: LockEdge): string {
  if (isFollowed(edge)) return `follows '${showInputPath(edge)}'`;
  if (edge.pin === undefined) throw new Error("an input has no pin");
  const { locked } = edge.pin;
  const lastModified = locked.attributes.get("lastModified");
  const date =
    typeof lastModified === "bigint"
      ? ` (${new Date(Number(lastModified) * 1000).toISOString().slice(0, 10)})`
      : "";
  return `'${textOfBytes(shownUrl(showReference(locked)))}'${date}`;
}
