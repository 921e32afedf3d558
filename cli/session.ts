// session - the process that stays with an open shell: it pumps bytes and watches inputs, and holds no evaluator. The
// launcher starts it with the record in DEVSHELL_SESSION_RECORD.
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { DevshellError } from "../core/index.ts";
import { cacheDirectory, loadRecord, workingDirectory } from "../env/index.ts";
import { runSession } from "../shell/index.ts";
import type { EnteredRecord } from "../shell/index.ts";
import { launcherPath, withoutInternals } from "./launcher.ts";
import { printError } from "./printError.ts";
import { watchRecord } from "./watchRecord.ts";

// For node-pty's modules; this bundle itself is compiled by then.
enableCompileCache(join(cacheDirectory(), "node"));
process.exit(await enterRecord(process.env["DEVSHELL_SESSION_RECORD"] ?? ""));

async function enterRecord(record: string): Promise<number> {
  const launcher = launcherPath();
  try {
    return await runSession({
      entered: readRecord(record),
      loadRecord: readRecord,
      watch: watchRecord,
      refreshCommand: (recordDir) => [launcher, "__refresh", recordDir],
      callerEnvironment: withoutInternals(process.env),
      directory: workingDirectory(),
      isReloading: true,
    });
  } catch (error) {
    const status = printError(error);
    if (error instanceof DevshellError && error.code === "SHELL_NO_PTY") {
      process.stderr.write("devshell: this shell runs on your terminal itself and does not reload\n");
      process.execve?.(launcher, [launcher, "--record", record, "plain", ""], withoutInternals(process.env));
    }
    return status;
  }
}

function readRecord(recordDir: string): EnteredRecord {
  const loaded = loadRecord(recordDir);
  if (loaded === undefined)
    throw new DevshellError("CLI_RECORD_UNREADABLE", `Cannot read the environment's record "${recordDir}"`, {
      hint: "enter again; the cache may be deleted at any time",
    });
  return { recordDir, environment: loaded.environment };
}
