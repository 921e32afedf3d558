// quickSnapshot - quickProcess as it is once loaded: scripts/build.ts makes a start-up snapshot of V8's from it, and the
// launcher starts Node with that where it fits.
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { setFlagsFromString, startupSnapshot } from "node:v8";
import { hashBytes, packageRoot } from "../core/index.ts";
import { runQuickCommand } from "./quickCommands.ts";
import { rehearse } from "./rehearse.ts";

/**
 * The bundle is a function that scripts/build.ts calls twice: bytecode belongs to both, all else to one. So what is
 * run to have it compiled, the second time, leaves nothing behind.
 */
declare const devshellIsRehearsal: boolean;

if (devshellIsRehearsal) {
  dropBytecode();
  // Node's own ways to write: scripts/build.ts gives the one stream a file, the other a pipe.
  for (const stream of [process.stdout, process.stderr]) stream.write("");
  void rehearse();
} else {
  // Nearly all that evaluates hashes something, and loading Node's module for it takes as long as all the rest (8 ms).
  hashBytes("sha256", "");

  // What else is loaded only when it is asked for.
  void import("./compat/nixStore/archive.ts");
  void import("./compat/nixStore/query.ts");
  void import("./compat/nixStore/realise.ts");

  startupSnapshot.setDeserializeMainFunction(() => {
    // Places of the package's own files are part of the snapshot.
    const program = process.argv[1]!;
    if (realpathSync.native(dirname(dirname(program))) === packageRoot) runQuickCommand();
    else startAfresh(program);
  });
}

/**
 * Has V8 forget the bytecode of what has run: Node and the bundle needed most of it to come up and never again, and a
 * megabyte of it takes longer to read at each start than the rest to compile. Measured on `--eval -E 1+1`: .94.
 */
function dropBytecode(): void {
  setFlagsFromString("--stress-flush-code");
  // More than V8 has outside of its heap without collecting. Nothing is written there, so it takes no memory.
  new ArrayBuffer(1 << 27);
  setFlagsFromString("--no-stress-flush-code");
}

/** Becomes the same program without the snapshot: the package was moved since. */
function startAfresh(program: string): void {
  const flags = [...process.execArgv];
  flags.splice(flags.indexOf("--snapshot-blob"), 2);
  process.execve?.(process.execPath, [process.execPath, ...flags, program, ...process.argv.slice(2)]);
}
