import { constants } from "node:os";
import type { BuilderExit } from "./builderProcess.ts";

/** As Nix words it: `failed with exit code 1`. */
export function describeExit(exit: BuilderExit): string {
  switch (exit.kind) {
    case "exited":
      return `failed with exit code ${exit.status}`;
    case "signalled":
      return `failed due to signal ${constants.signals[exit.signal]} (${SIGNAL_TEXT[exit.signal] ?? exit.signal})`;
    case "timedOut":
      return `timed out after ${exit.afterMs / 1000} seconds${exit.isSilence ? " of silence" : ""}`;
    case "setupFailed":
      return exit.message;
  }
}

const SIGNAL_TEXT: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: "Hangup",
  SIGINT: "Interrupt",
  SIGQUIT: "Quit",
  SIGILL: "Illegal instruction",
  SIGABRT: "Aborted",
  SIGFPE: "Floating point exception",
  SIGKILL: "Killed",
  SIGSEGV: "Segmentation fault",
  SIGPIPE: "Broken pipe",
  SIGTERM: "Terminated",
};
