import { spawnSync } from "node:child_process";
import type { ReadStream, WriteStream } from "node:tty";

/** A process's own ends of a terminal; Node's types forget their descriptors. */
export type InputTerminal = ReadStream & { readonly fd: number };
export type OutputTerminal = WriteStream & { readonly fd: number };

/** The terminal's line settings, as `stty -g` prints them. */
export type TerminalSettings = string & { readonly __brand: "TerminalSettings" };

/**
 * Reads the settings of a terminal; `undefined` where `fd` is none.
 * @param known what the launcher read already, if it did
 */
export function readTerminalSettings(fd: number, known?: string): TerminalSettings | undefined {
  if (known !== undefined && SETTINGS.test(known)) return known as TerminalSettings;
  const result = spawnSync("stty", ["-g"], { stdio: [fd, "pipe", "ignore"], encoding: "latin1" });
  const text = result.status === 0 ? result.stdout.trim() : "";
  return SETTINGS.test(text) ? (text as TerminalSettings) : undefined;
}

/**
 * Passes every byte as it is, both ways. Node's own raw mode keeps output processing on (each line feed becomes
 * carriage return and line feed), which moves the cursor of full-screen programs; hence `stty`.
 */
export function setTerminalRaw(fd: number): void {
  spawnSync("stty", ["raw", "-echo"], { stdio: [fd, "ignore", "ignore"] });
}

const SETTINGS = /^[0-9a-f:]+$/;

export function restoreTerminal(fd: number, settings: TerminalSettings): void {
  spawnSync("stty", [settings], { stdio: [fd, "ignore", "ignore"] });
}
