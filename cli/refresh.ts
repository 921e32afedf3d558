import { notBuilt } from "./notBuilt.ts";

/** `devshell __refresh RECORD`: what an open session runs when an input has changed. Prints the new record. */
export function refreshRecord(_record: string): Promise<number> {
  return Promise.reject(notBuilt("a reload"));
}
