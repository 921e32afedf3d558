import { spawnSync } from "node:child_process";
import {
  DevshellError,
  checkInterrupt,
  systemErrorText,
  textOfBytes,
  type ByteString,
} from "../../core/index.ts";
import { describeExit } from "../../store/index.ts";

/** Of what is evaluated then. */
const MAX_OUTPUT_BYTES = 1 << 30;

/**
 * Runs a program for `builtins.exec`, looked up in PATH, and waits for it; it shares our standard input and error.
 * @returns what it prints
 */
export function runProgram(program: ByteString, args: readonly ByteString[]): ByteString {
  const name = textOfBytes(program);
  // Node refuses a program without a name; the system does not find it.
  const { status, signal, stdout, error } = spawnSync(
    name === "" ? "/nonexistent" : name,
    args.map(textOfBytes),
    {
      stdio: ["inherit", "pipe", "inherit"],
      maxBuffer: MAX_OUTPUT_BYTES,
    },
  );
  checkInterrupt();
  const failed = (how: string): DevshellError =>
    new DevshellError("EVAL_EXEC", `program "${name}" ${how}`, { cause: error });
  if (error !== undefined && "code" in error && error.code === "ENOBUFS")
    throw failed(`printed more than ${MAX_OUTPUT_BYTES} bytes`);
  if (error !== undefined) {
    process.stderr.write(executing(name, error));
    throw failed(describeExit({ kind: "exited", status: 1 }));
  }
  if (signal !== null) throw failed(describeExit({ kind: "signalled", signal }));
  if (status !== 0) throw failed(describeExit({ kind: "exited", status: status ?? 1 }));
  return stdout.toString("latin1");
}

/** What Nix's own child process says that cannot become the program: in colours, wherever that goes. */
function executing(name: string, error: Error): string {
  const why = "errno" in error ? systemErrorText(Number(error.errno)) : error.message;
  return `\x1b[31;1merror:\x1b[0m executing \x1b[35;1m"${name}"\x1b[0m: \x1b[35;1m${why}\x1b[0m\n`;
}
