import { render } from "ink";
import { BuildTree } from "./BuildTree.tsx";
import type { OutputTerminal } from "../../shell/index.ts";
import type { Row } from "./rows.ts";

/** A region of the terminal that is drawn over and over. */
export interface InkScreen {
  draw(rows: readonly Row[]): void;
  /** Gives the terminal back; the last drawing stays, or is wiped when `keep` is false. */
  close(keep: boolean): void;
}

/**
 * Opens the live region on standard error (standard output belongs to the command). Keys are not read, so the
 * terminal stays in its own mode and Ctrl-C is a signal as everywhere.
 */
export function openInkScreen(stream: OutputTerminal): InkScreen {
  const app = render(<BuildTree rows={[]} />, {
    stdout: stream,
    stderr: stream,
    // `displayMode` has decided; Ink itself would draw nothing where CI is set.
    interactive: true,
    exitOnCtrlC: false,
    patchConsole: false,
    maxFps: 15,
  });
  return {
    draw: (rows) => app.rerender(<BuildTree rows={rows} />),
    close: (keep) => {
      if (!keep) app.clear();
      app.unmount();
    },
  };
}
