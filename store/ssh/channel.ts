import { PassThrough, type Readable, type Writable } from "node:stream";

/** Both directions to a program that speaks a protocol, on another machine or here. */
export interface Channel extends AsyncDisposable {
  /** What it says. */
  readonly input: Readable;
  /** What it is told. */
  readonly output: Writable;
  /** What it printed on standard error, its last lines. */
  readonly complaint: () => string;
  /** Waits until it has ended, so that its last words are known; not for long. */
  readonly settled: () => Promise<void>;
}

/** Two ends of one connection within this process. */
export function channelPair(): readonly [Channel, Channel] {
  const there = new PassThrough();
  const back = new PassThrough();
  const end = (input: PassThrough, output: PassThrough): Channel => ({
    input,
    output,
    complaint: () => "",
    settled: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => {
      output.end();
      input.destroy();
      return Promise.resolve();
    },
  });
  return [end(back, there), end(there, back)];
}
