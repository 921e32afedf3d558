import { runQuickCommand } from "./quickCommands.ts";

runQuickCommand();
