import { notBuilt } from "../notBuilt.ts";

export function run(): number {
  throw notBuilt("devshell allow", "until then nothing runs without being asked for: enter with `devshell`");
}
