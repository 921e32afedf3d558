/** Whether what is written there may hold colours. */
export function isColoured(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";
}
