import { workingDirectory } from "../../env/index.ts";

let script: string | undefined;

/** What relative files and references of the command line are relative to: where a script lies, in its first lines. */
export function baseDirectory(): string {
  return script ?? workingDirectory();
}

/** The command line stands in a script. */
export function setScriptDirectory(directory: string): void {
  script = directory;
}
