export { changeNote } from "./changeNote.ts";
export type { EnteredRecord } from "./liveReload.ts";
export { promptName } from "./rcFile.ts";
export { runSession, type SessionOptions } from "./session.ts";
export type { InputTerminal, OutputTerminal } from "./terminal.ts";
