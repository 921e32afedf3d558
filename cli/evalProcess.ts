import { runEvalCommand } from "./evalCommand.ts";

runEvalCommand();
