export { parseAttrPath, selectAttrPath } from "./attrPath.ts";
export { autoCall } from "./autoCall.ts";
export type { DebugAnswer, DebugLevel, DebugStop, DebugTrace, DebuggerOptions } from "./debugger.ts";
export { INTERNAL_FILES } from "./internalFiles.ts";
export { OutlineRecorder, hasOutline, type Outline } from "./outline.ts";
export { EvalState, type Globals } from "./state.ts";
