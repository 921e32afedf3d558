import { template } from "../value/slots.ts";
import type { Env } from "../value/value.ts";

type FrameMaker = (up: Env) => Env;

/** Those of more slots are not kept. */
const MAKERS = 64;
const makers: (FrameMaker | undefined)[] = [];

/** Makes environments of a size, with the surrounding one in place: one function for all of a size. */
export function frameMaker(size: number): FrameMaker {
  return size > MAKERS ? makerOf(size) : (makers[size] ??= makerOf(size));
}

function makerOf(size: number): FrameMaker {
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
