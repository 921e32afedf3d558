export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Divides a rectangle by sizes, into parts as near to squares as can be.
 * @param sizes positive, the largest first
 * @returns one part for each size, in their order
 * @see Bruls, Huizing, van Wijk, "Squarified Treemaps"
 */
export function squarify(sizes: readonly number[], bounds: Rectangle): Rectangle[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const parts: Rectangle[] = [];
  if (total <= 0) return parts;
  const scale = (bounds.width * bounds.height) / total;
  let rest = bounds;
  for (let from = 0; from < sizes.length;) {
    const side = Math.min(rest.width, rest.height);
    let end = from + 1;
    let sum = (sizes[from] ?? 0) * scale;
    const largest = sum;
    // The row takes one more as long as its worst part gets no longer.
    for (let worst = worstRatio(largest, sum, sum, side); end < sizes.length; end += 1) {
      const area = (sizes[end] ?? 0) * scale;
      const next = worstRatio(largest, area, sum + area, side);
      if (next > worst) break;
      worst = next;
      sum += area;
    }
    const isWide = rest.width >= rest.height;
    const thickness = side === 0 ? 0 : sum / side;
    let offset = 0;
    for (let index = from; index < end; index += 1) {
      const length = thickness === 0 ? 0 : ((sizes[index] ?? 0) * scale) / thickness;
      parts.push(
        isWide
          ? { x: rest.x, y: rest.y + offset, width: thickness, height: length }
          : { x: rest.x + offset, y: rest.y, width: length, height: thickness },
      );
      offset += length;
    }
    rest = isWide
      ? { ...rest, x: rest.x + thickness, width: Math.max(0, rest.width - thickness) }
      : { ...rest, y: rest.y + thickness, height: Math.max(0, rest.height - thickness) };
    from = end;
  }
  return parts;
}

function worstRatio(largest: number, smallest: number, sum: number, side: number): number {
  const square = sum * sum;
  const sideSquare = side * side;
  return Math.max((sideSquare * largest) / square, square / (sideSquare * smallest));
}
