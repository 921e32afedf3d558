import { checkInterrupt, ensureHeap } from "../../core/index.ts";

/** Words (8 bytes each) that are taken before V8 is asked again how full its heap is: it looks at all its pages then. */
const MAX_UNASKED = 1 << 25;
/** The same while V8 has not been asked yet. */
const FIRST_UNASKED = 1 << 20;
const MIN_UNASKED = 1 << 10;
/** What is taken is an estimate: so many times as much it may be. */
const UNCERTAINTY = 8;

const heap = { words: FIRST_UNASKED };

/**
 * Called by what takes memory in loops, about how many words it takes: else V8 would end the process, without an error,
 * where its heap is full. Called by every builtin that goes through a list, too, so that it can be interrupted.
 * @throws RangeError, to which the next frame gives a place
 * @throws Interrupted, where the user wants evaluation to end
 */
export function claimWords(words: number): void {
  heap.words -= words;
  if (heap.words < 0) ask(words);
}

/** Makes the next claim ask whether it was interrupted. */
export function stopClaims(): void {
  heap.words = 0;
}

function ask(words: number): void {
  // Whoever catches what is thrown here is soon here again.
  heap.words = 0;
  checkInterrupt();
  heap.words = MIN_UNASKED;
  const room = ensureHeap(words * 8) / 8 / UNCERTAINTY;
  heap.words = Math.max(MIN_UNASKED, Math.min(MAX_UNASKED, Math.round(room)));
}

/** How many elements loops make between two claims. */
export const CLAIM_EVERY = 1 << 14;
