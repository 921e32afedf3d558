// harness - a real VS Code for tests; README.md beside tells how to use it.
export { type HostRun, type HostTestOptions, describeInHost, runApiTests } from "./runApiTests.ts";
export type { HostFunction, HostScope } from "./callHost.ts";
export { describeEditor, readyEditor } from "./editorSetup.ts";
export type { Keybinding } from "./keys.ts";
export type { OpenOptions, ShellResult, StatusItem, TerminalTab, Workbench } from "./openWorkbench.ts";
export { type Editor, type EditorOptions, type Settings, startEditor } from "./startEditor.ts";
export { until } from "./until.ts";
