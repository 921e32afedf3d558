import type { FromView } from "../src/view/viewMessages.ts";

/** What is left of the view while it is hidden, and after the window was reloaded. */
export interface ViewState {
  /** The folder's URI: the extension restores the view by it. */
  readonly folder?: string | undefined;
  readonly tab?: string | undefined;
  readonly filter?: string | undefined;
  readonly sort?: string | undefined;
  readonly isGrouped?: boolean | undefined;
  readonly expanded?: readonly string[] | undefined;
  readonly isClosureList?: boolean | undefined;
}

interface VsCodeApi {
  postMessage(message: FromView): void;
  getState(): ViewState | undefined;
  setState(state: ViewState): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const vscode = acquireVsCodeApi();

export function post(message: FromView): void {
  vscode.postMessage(message);
}

export function savedState(): ViewState {
  return vscode.getState() ?? {};
}

export function saveState(part: ViewState): void {
  vscode.setState({ ...savedState(), ...part });
}
