/** The line of a report that says why. */
export function shortReason(message: string | undefined): string | undefined {
  if (message === undefined) return undefined;
  const lines = message.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => line.startsWith("Reason: "))?.slice("Reason: ".length) ?? lines[0])?.replace(
    /\.$/,
    "",
  );
}
