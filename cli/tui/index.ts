export { displayMode, openDisplay, type Display, type DisplayMode, type DisplayOptions } from "./display.ts";
export type { ProgressEvent } from "./progress.ts";
export { formatBytes, formatDuration } from "./rows.ts";
