import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { tmpdir } from "node:os";

/** The `bin` directory of a real Nix to compare with, where one is given. */
export const PEER_NIX = process.env["PEER_NIX"];

/** A value as `nix-instantiate --eval --strict` prints it, or what it says went wrong, trace left out. */
export interface PeerAnswer {
  readonly value?: string;
  readonly error?: string;
}

const FEATURES = "flakes fetch-tree fetch-closure dynamic-derivations ca-derivations";

/** Evaluates one expression (a byte string) by the peer. */
export function askPeer(expression: string): PeerAnswer {
  const result = spawnSync(
    join(PEER_NIX ?? "", "nix-instantiate"),
    ["--eval", "--strict", "--store", "dummy://", "--extra-experimental-features", FEATURES, "-"],
    {
      input: Buffer.from(expression, "latin1"),
      encoding: "latin1",
      maxBuffer: 64 << 20,
      timeout: 60_000,
      env: { ...process.env, HOME: join(tmpdir(), "no-home"), NIX_CONF_DIR: "/nonexistent", NIX_PATH: "" },
    },
  );
  if (result.status === 0) return { value: result.stdout.trimEnd() };
  const at = result.stderr.lastIndexOf("error: ");
  const message = at < 0 ? result.stderr : result.stderr.slice(at + "error: ".length);
  return { error: message.replaceAll(/^ {7}/gm, "").trimEnd() };
}

/** All that the peer says to an expression that fails, with its whole trace. */
export function askPeerReport(expression: string): string {
  const words = ["--eval", "--strict", "--show-trace", "--store", "dummy://"];
  const result = spawnSync(
    join(PEER_NIX ?? "", "nix-instantiate"),
    [...words, "--extra-experimental-features", FEATURES, "--expr", expression],
    {
      encoding: "utf8",
      cwd: tmpdir(),
      timeout: 60_000,
      env: { ...process.env, HOME: join(tmpdir(), "no-home"), NIX_CONF_DIR: "/nonexistent", NIX_PATH: "" },
    },
  );
  return result.stderr.trimEnd();
}

/** Evaluates many: in one run where none fails, else in halves. */
export function askPeerAll(expressions: readonly string[]): PeerAnswer[] {
  if (expressions.length === 0) return [];
  if (expressions.length === 1) return [askPeer(expressions[0]!)];
  const parts = expressions.map((expression) => `(builtins.toJSON (${expression}))`);
  const { value } = askPeer(`builtins.concatStringsSep "\\n" [ ${parts.join("\n")} ]`);
  if (value === undefined) {
    const middle = expressions.length >> 1;
    return [...askPeerAll(expressions.slice(0, middle)), ...askPeerAll(expressions.slice(middle))];
  }
  const text = value.slice(1, -1).replaceAll(/\\([\s\S])/g, (_, char: string) => ESCAPES[char] ?? char);
  return text.split("\n").map((line) => ({ value: line }));
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
