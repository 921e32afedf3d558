// One of the processes that work on a store at once: it does what chance says until its time is over, and prints what
// it did. It ends with status 1 where something happened that should not.
import { join } from "node:path";
import type { StorePath, StoreSettings } from "../../../store/index.ts";
import { Random } from "../mutate.ts";
import { NAMES, StoreUser, settingsIn, type OperationName } from "./operations.ts";

export interface ProcessRequest {
  readonly dir: string;
  readonly cache: string;
  readonly offered: readonly StorePath[];
  readonly seed: number;
  readonly endMs: number;
  /** Some have a daemon do it: of those each connection takes a process. */
  readonly hasDaemons: boolean;
}

/** Operations as often as they are to come; what looks at the whole store is seldom. */
const OFTEN: readonly OperationName[] = [
  "addText",
  "addPath",
  "substitute",
  "copy",
  "build",
  "buildAddressed",
  "buildSeveral",
  "profile",
  "query",
];
const SELDOM: readonly OperationName[] = [
  "collect",
  "optimise",
  "delete",
  "delete",
  "verify",
  "reopen",
  "reopen",
  "reopen",
];

const request = JSON.parse(process.argv[2] ?? "") as ProcessRequest;
const random = new Random(request.seed);
const done: Record<string, number> = {};
// Some link what is equal as it comes.
const settings = settingsIn(request.dir, request.cache, {
  "auto-optimise-store": request.seed % 3 === 0 ? "true" : "false",
});
using user = new StoreUser(
  request.dir,
  request.hasDaemons && request.seed % 4 === 1 ? throughDaemon(settings) : settings,
  request.offered,
  random,
);
let last = "";
try {
  for (let count = 0; count < NAMES.length || Date.now() < request.endMs; count++) {
    // Each once, however slow the machine is.
    const name = NAMES[(count + request.seed) % NAMES.length];
    const next =
      count < NAMES.length && name !== undefined ? name : random.of(random.below(4) === 0 ? SELDOM : OFTEN);
    last = `${next}, number ${count}`;
    const isDone = await user.do(next);
    const key = isDone ? next : `${next} (refused)`;
    done[key] = (done[key] ?? 0) + 1;
  }
  user.checkHeld();
} catch (error) {
  process.stderr.write(`seed ${request.seed}, ${last}: ${(error as Error).stack}\n`);
  process.exitCode = 1;
}
process.stdout.write(JSON.stringify(done));

function throughDaemon(own: StoreSettings): StoreSettings {
  const program = join(import.meta.dirname, "daemonProcess.ts");
  const args = ["--disable-warning=ExperimentalWarning", program, request.dir, request.cache];
  return {
    ...own,
    rung: "daemon",
    daemon: {
      url: "a program",
      address: { kind: "command", program: process.execPath, args },
      isHere: true,
      isFound: false,
    },
  };
}
