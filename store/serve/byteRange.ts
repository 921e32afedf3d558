/** What a `Range` header asks of a body whose size is known. */
export type ByteRange =
  | { readonly kind: "whole" }
  | { readonly kind: "unsatisfiable" }
  /** `end` is the byte after the last one. */
  | { readonly kind: "part"; readonly start: number; readonly end: number };

const WHOLE: ByteRange = { kind: "whole" };

/**
 * Reads a `Range` header (RFC 9110, section 14.2). What is no range of bytes, or several, means the whole body, as a
 * server may always send it.
 */
export function readByteRange(header: string | undefined, sizeBytes: number): ByteRange {
  const match = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return WHOLE;
  if (first === "") {
    const count = Math.min(Number(last), sizeBytes);
    return count === 0
      ? { kind: "unsatisfiable" }
      : { kind: "part", start: sizeBytes - count, end: sizeBytes };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return WHOLE;
  if (start >= sizeBytes) return { kind: "unsatisfiable" };
  return { kind: "part", start, end: last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}
