import type { Pos } from "./position.ts";

/** Whom each call's begin and end is told (`trace-function-calls`); set as `calls.limit` is, for what runs. */
export const callTrace: { tell: ((event: "entered" | "exited", pos: Pos) => void) | undefined } = {
  tell: undefined,
};

/** Makes a call, telling of it; one that fails ends too. */
export function traced<T>(call: () => T, pos: Pos): T {
  callTrace.tell?.("entered", pos);
  try {
    return call();
  } finally {
    callTrace.tell?.("exited", pos);
  }
}
