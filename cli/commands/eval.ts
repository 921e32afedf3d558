import { notBuilt } from "../notBuilt.ts";

export function run(): number {
  throw notBuilt("devshell eval");
}
