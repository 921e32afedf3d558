import { quoteForShell, type ByteString } from "../../core/index.ts";

/** A byte string as one word for any POSIX shell. */
export function quoteSh(value: ByteString): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(value) ? value : quoteForShell(value);
}

/** A byte string as one word for fish, where only `\` and `'` are special between single quotes. */
export function quoteFish(value: ByteString): string {
  return `'${value.replace(/[\\']/g, "\\$&")}'`;
}

export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}
