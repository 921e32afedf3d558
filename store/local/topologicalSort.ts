import type { StorePath } from "../types.ts";

/** Sorts paths so that what refers to others comes after them. */
export function topologicalSort(
  paths: Iterable<StorePath>,
  referencesOf: (path: StorePath) => readonly StorePath[],
): StorePath[] {
  const wanted = new Set(paths);
  const sorted: StorePath[] = [];
  const entered = new Set<StorePath>();
  for (const root of [...wanted].sort()) {
    if (entered.has(root)) continue;
    entered.add(root);
    const stack = [{ path: root, references: referencesOf(root), next: 0 }];
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const reference = frame.references[frame.next++];
      if (reference === undefined) {
        sorted.push(frame.path);
        stack.pop();
      } else if (wanted.has(reference) && !entered.has(reference)) {
        entered.add(reference);
        stack.push({ path: reference, references: referencesOf(reference), next: 0 });
      }
    }
  }
  return sorted;
}
