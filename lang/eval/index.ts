export { parseAttrPath, selectAttrPath } from "./attrPath.ts";
export { autoCall } from "./autoCall.ts";
export { EvalState, INTERNAL_PREFIX, type Globals } from "./state.ts";
