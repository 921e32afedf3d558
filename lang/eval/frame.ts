import { template } from "../value/slots.ts";
import type { Env } from "../value/value.ts";

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
