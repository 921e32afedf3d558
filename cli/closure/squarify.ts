export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Fills a rectangle with one for each weight, as large as its weight and as near to a square as may be (Bruls,
 * Huizing, van Wijk: Squarified Treemaps).
 * @param weights positive, the largest first
 */
export function squarify(weights: readonly number[], room: Rectangle): Rectangle[] {
  const placed: Rectangle[] = [];
  let left = room;
  let leftWeight = weights.reduce((sum, weight) => sum + weight, 0);
  for (let at = 0; at < weights.length;) {
    const scale = (left.width * left.height) / leftWeight;
    const side = Math.min(left.width, left.height);
    let count = 1;
    let sum = weights[at] ?? 0;
    // A row takes another one as long as that makes its worst rectangle no worse.
    for (; at + count < weights.length; count++) {
      const next = weights[at + count] ?? 0;
      const now = weights.slice(at, at + count);
      if (worst([...now, next], sum + next, side, scale) > worst(now, sum, side, scale)) break;
      sum += next;
    }
    left = placeRow(weights.slice(at, at + count), sum / leftWeight, left, placed);
    leftWeight -= sum;
    at += count;
  }
  return placed;
}

/** The aspect ratio of a row's worst rectangle; the row is sorted. */
function worst(row: readonly number[], sum: number, side: number, scale: number): number {
  const area = sum * scale;
  const largest = (row[0] ?? 0) * scale;
  const smallest = (row.at(-1) ?? 0) * scale;
  return Math.max((side * side * largest) / (area * area), (area * area) / (side * side * smallest));
}

/** Along the shorter side. @returns the room that is left */
function placeRow(row: readonly number[], share: number, room: Rectangle, placed: Rectangle[]): Rectangle {
  const sum = row.reduce((total, weight) => total + weight, 0);
  const isTall = room.width >= room.height;
  const thickness = (isTall ? room.width : room.height) * Math.min(1, share);
  let offset = 0;
  for (const weight of row) {
    const length = ((isTall ? room.height : room.width) * weight) / sum;
    placed.push(
      isTall
        ? { x: room.x, y: room.y + offset, width: thickness, height: length }
        : { x: room.x + offset, y: room.y, width: length, height: thickness },
    );
    offset += length;
  }
  return isTall
    ? { x: room.x + thickness, y: room.y, width: room.width - thickness, height: room.height }
    : { x: room.x, y: room.y + thickness, width: room.width, height: room.height - thickness };
}
