/** Below this a part is sorted by insertion, as in libstdc++ and Nix. */
const SMALL = 16;

/**
 * A stable merge sort that finds runs first (peeksort). With a comparison that is no strict weak order the result
 * depends on the algorithm, so the comparisons are made where Nix makes them.
 */
export function sortByLess<T>(items: readonly T[], isLess: (a: T, b: T) => boolean): T[] {
  const sorted = items.slice();
  const length = sorted.length;
  if (length < 2) return sorted;
  if (length === 2) {
    if (isLess(sorted[1]!, sorted[0]!)) sorted.reverse();
    return sorted;
  }
  sortPart(sorted, new Array<T>(length), isLess, 0, length, 0, length);
  return sorted;
}

type Less<T> = (a: T, b: T) => boolean;

/** Sorts `[begin, end)`, whose parts `[begin, leftEnd)` and `[rightBegin, end)` are sorted already. */
function sortPart<T>(
  items: T[],
  buffer: T[],
  isLess: Less<T>,
  begin: number,
  end: number,
  leftEnd: number,
  rightBegin: number,
): void {
  if (leftEnd === end || rightBegin === begin) return;
  const length = end - begin;
  if (length <= SMALL) return insertionSort(items, isLess, begin, end);
  const middle = begin + Math.floor(length / 2);
  if (middle <= leftEnd) {
    sortPart(items, buffer, isLess, leftEnd, end, leftEnd + 1, rightBegin);
    return merge(items, buffer, isLess, begin, leftEnd, end);
  }
  if (middle >= rightBegin) {
    sortPart(items, buffer, isLess, begin, rightBegin, leftEnd, rightBegin - 1);
    return merge(items, buffer, isLess, begin, rightBegin, end);
  }
  // The run that holds the element before the middle.
  let runBegin = middle;
  let runEnd = middle;
  if (isLess(items[middle]!, items[middle - 1]!)) {
    while (runBegin - 1 > leftEnd && isLess(items[runBegin - 1]!, items[runBegin - 2]!)) runBegin--;
    runBegin--;
    runEnd = middle - 1;
    while (runEnd + 1 !== rightBegin && isLess(items[runEnd + 1]!, items[runEnd]!)) runEnd++;
    runEnd++;
    reverse(items, runBegin, runEnd);
  } else {
    while (runBegin - 1 > leftEnd && !isLess(items[runBegin - 1]!, items[runBegin - 2]!)) runBegin--;
    runBegin--;
    runEnd = middle - 1;
    while (runEnd + 1 !== rightBegin && !isLess(items[runEnd + 1]!, items[runEnd]!)) runEnd++;
    runEnd++;
  }
  if (runBegin === begin && runEnd === end) return;
  if (middle - runBegin < runEnd - middle) {
    sortPart(items, buffer, isLess, begin, runBegin, leftEnd, runBegin - 1);
    sortPart(items, buffer, isLess, runBegin, end, runEnd, rightBegin);
    merge(items, buffer, isLess, begin, runBegin, end);
  } else {
    sortPart(items, buffer, isLess, begin, runEnd, leftEnd, runBegin);
    sortPart(items, buffer, isLess, runEnd, end, runEnd + 1, rightBegin);
    merge(items, buffer, isLess, begin, runEnd, end);
  }
}

function insertionSort<T>(items: T[], isLess: Less<T>, begin: number, end: number): void {
  for (let i = begin + 1; i < end; i++) {
    const item = items[i]!;
    let at = i;
    while (at > begin && isLess(item, items[at - 1]!)) {
      items[at] = items[at - 1]!;
      at--;
    }
    items[at] = item;
  }
}

function merge<T>(
  items: T[],
  buffer: T[],
  isLess: Less<T>,
  begin: number,
  middle: number,
  end: number,
): void {
  for (let i = begin; i < end; i++) buffer[i] = items[i]!;
  let left = begin;
  let right = middle;
  let output = begin;
  while (left < middle && right < end)
    items[output++] = isLess(buffer[right]!, buffer[left]!) ? buffer[right++]! : buffer[left++]!;
  while (left < middle) items[output++] = buffer[left++]!;
  while (right < end) items[output++] = buffer[right++]!;
}

function reverse<T>(items: T[], begin: number, end: number): void {
  for (let i = begin, j = end - 1; i < j; i++, j--) {
    const item = items[i]!;
    items[i] = items[j]!;
    items[j] = item;
  }
}
