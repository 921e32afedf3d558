import { readSync } from "node:fs";

/** Asks yes-or-no questions where somebody can answer; `undefined` where nobody can. */
export function userAsker(): ((question: string) => boolean) | undefined {
  return process.stdin.isTTY && process.stderr.isTTY ? ask : undefined;
}

/** The end of the input is a no. */
function ask(question: string): boolean {
  process.stderr.write(`${question} (y/N)? `);
  const buffer = Buffer.alloc(1);
  let answer = "";
  while (readByte(buffer) && buffer[0] !== 0x0a) answer += buffer.toString("latin1");
  return answer.trim().toLowerCase().startsWith("y");
}

function readByte(buffer: Buffer): boolean {
  try {
    return readSync(0, buffer, 0, 1, null) === 1;
  } catch {
    return false;
  }
}
