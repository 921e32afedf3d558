import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";

/** What the system says of a failed call, as `strerror` words it. @param errno as Node's errors have it, negative */
export function systemErrorText(errno: number): string {
  if (errno === -constants.errno.EISDIR) return "Is a directory";
  const text = getSystemErrorMessage(errno);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
