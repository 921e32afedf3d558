export { displayMode, openDisplay, type Display, type DisplayMode, type DisplayOptions } from "./display.ts";
export type { ProgressEvent } from "./progress.ts";
export { clipRow, formatBytes, formatDuration, type Row, type RowTone } from "./rows.ts";
