/** Shorter runs are left to the insertion sort at the end. */
const THRESHOLD = 16;

/**
 * Sorts in place, as GNU's C++ library does: Nix lists packages in the order of its `std::sort`, which is not stable,
 * and many packages have the same name. (Musser's introsort: quicksort about the median of three, then insertion.)
 */
export function sortAsNix<T>(items: T[], isLess: (a: T, b: T) => boolean): void {
  if (items.length < 2) return;
  partitionAll(items, isLess, 0, items.length, 2 * Math.floor(Math.log2(items.length)));
  for (let i = 1; i < items.length; i++) {
    const item = items[i]!;
    // Past the first run something not larger stands to the left of every item.
    let at = i;
    if (i < THRESHOLD && isLess(item, items[0]!)) {
      items.copyWithin(1, 0, i);
      at = 0;
    } else for (; isLess(item, items[at - 1]!); at--) items[at] = items[at - 1]!;
    items[at] = item;
  }
}

type Compare<T> = (a: T, b: T) => boolean;

function partitionAll<T>(
  items: T[],
  isLess: Compare<T>,
  first: number,
  last: number,
  depthLeft: number,
): void {
  let end = last;
  for (let depth = depthLeft; end - first > THRESHOLD; depth--) {
    if (depth === 0) {
      const rest = items.slice(first, end).sort((a, b) => (isLess(a, b) ? -1 : isLess(b, a) ? 1 : 0));
      for (let i = 0; i < rest.length; i++) items[first + i] = rest[i]!;
      return;
    }
    medianToFirst(items, isLess, first, first + 1, first + Math.floor((end - first) / 2), end - 1);
    const cut = partition(items, isLess, first, end);
    partitionAll(items, isLess, cut, end, depth - 1);
    end = cut;
  }
}

function medianToFirst<T>(
  items: T[],
  isLess: Compare<T>,
  first: number,
  a: number,
  b: number,
  c: number,
): void {
  const less = (i: number, j: number): boolean => isLess(items[i]!, items[j]!);
  let median: number;
  if (less(a, b)) median = less(b, c) ? b : less(a, c) ? c : a;
  else median = less(a, c) ? a : less(b, c) ? c : b;
  swap(items, first, median);
}

/** @returns where the items that are not less than the first begin */
function partition<T>(items: T[], isLess: Compare<T>, first: number, last: number): number {
  const pivot = items[first]!;
  let left = first + 1;
  let right = last;
  for (; ; left++) {
    while (isLess(items[left]!, pivot)) left++;
    right--;
    while (isLess(pivot, items[right]!)) right--;
    if (left >= right) return left;
    swap(items, left, right);
  }
}

function swap<T>(items: T[], i: number, j: number): void {
  [items[i], items[j]] = [items[j]!, items[i]!];
}
