import { DevshellError } from "../core/index.ts";
import { loadRecord, workingDirectory } from "../env/index.ts";
import { runSession } from "../shell/index.ts";
import type { EnteredRecord } from "../shell/index.ts";
import { launcherPath, withoutInternals } from "./enterRecord.ts";
import { printError } from "./printError.ts";
import { watchRecord } from "./watchRecord.ts";

/** The process that stays with an open shell: it pumps bytes and watches inputs, and holds no evaluator. */
export async function runSessionProcess(record: string): Promise<never> {
  const launcher = launcherPath();
  let status: number;
  try {
    status = await runSession({
      entered: readRecord(record),
      loadRecord: readRecord,
      watch: watchRecord,
      refreshCommand: (recordDir) => [launcher, "__refresh", recordDir],
      callerEnvironment: withoutInternals(process.env),
      directory: workingDirectory(),
      isReloading: true,
    });
  } catch (error) {
    status = printError(error);
    if (error instanceof DevshellError && error.code === "SHELL_NO_PTY") {
      process.stderr.write("devshell: this shell runs on your terminal itself and does not reload\n");
      process.execve?.(launcher, [launcher, "--record", record, "plain", ""], withoutInternals(process.env));
    }
  }
  process.exit(status);
}

function readRecord(recordDir: string): EnteredRecord {
  const loaded = loadRecord(recordDir);
  if (loaded === undefined)
    throw new DevshellError("CLI_RECORD_UNREADABLE", `Cannot read the environment's record "${recordDir}"`, {
      hint: "enter again; the cache may be deleted at any time",
    });
  return { recordDir, environment: loaded.environment };
}
