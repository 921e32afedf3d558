import type { Env, Slot } from "../value/value.ts";

/**
 * An array to copy (`slice`) where one of a known length is filled: copies are "packed" and exactly as long, unlike
 * those of `new Array(n)`, so that all environments and values are of one kind to the machine. Measured on NixOS.
 */
export function template(length: number): undefined[] {
  const array: undefined[] = [];
  for (let i = 0; i < length; i++) array.push(undefined);
  return array.slice();
}

/** Makes environments of a size, with the surrounding one in place. */
export function frameMaker(size: number): (up: Env) => Env {
  switch (size) {
    case 1:
      return (up) => [up];
    case 2:
      return (up) => [up, undefined];
    case 3:
      return (up) => [up, undefined, undefined];
    case 4:
      return (up) => [up, undefined, undefined, undefined];
    default: {
      const empty: unknown[] = template(size);
      return (up) => {
        const frame = empty.slice();
        frame[0] = up;
        return frame;
      };
    }
  }
}

/** An array for slots that are all about to be set. */
export function slotsLike(empty: readonly undefined[]): Slot[] {
  return empty.slice() as unknown as Slot[];
}
