import { Thunk, type Slot } from "./value.ts";

/** The code of a thunk under evaluation; never called. */
export const blackhole = (): never => {
  throw new Error("a thunk under evaluation was run");
};

/** Whether the slot's value is just being computed: forcing it now would be an infinite recursion. */
export function isUnderEvaluation(slot: Slot): boolean {
  return slot instanceof Thunk && slot.code === blackhole;
}
