/** Ended by the user (Ctrl-C): not a failure to explain. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("interrupted by the user");
  }
}

let isAsked: (() => boolean) | undefined;

/** Says how what holds this thread finds out that the user wants it to end; `undefined`: it does not. */
export function listenForInterrupts(listener: (() => boolean) | undefined): void {
  isAsked = listener;
}

/**
 * Called now and then by what holds the thread for long: signals are not heard then.
 * @throws {Interrupted} where the user wants it to end
 */
export function checkInterrupt(): void {
  if (isAsked !== undefined && isAsked()) throw new Interrupted();
}
