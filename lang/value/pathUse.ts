import type { ByteString } from "../../core/index.ts";

/**
 * Who is told of each path whose own text becomes part of what is computed, or decides it: where it lies matters then,
 * not only what it holds. Set as `calls.limit` is, for what runs.
 */
export const pathUse: { tell: ((path: ByteString) => void) | undefined } = { tell: undefined };
