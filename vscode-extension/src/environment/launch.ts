/** Where `devshell code` tells what it started the editor with; cli/editorLaunch.ts writes it. */
export const LAUNCH_VARIABLE = "DEVSHELL_EDITOR_LAUNCH";

/** How the editor was started inside an environment. */
export interface Launch {
  /** Another one for each start. */
  readonly id: string;
  readonly directory: string;
  readonly selection: readonly string[];
  readonly changes: readonly LaunchChange[];
}

/** What the environment did to one variable before the editor got it. */
export interface LaunchChange {
  readonly name: string;
  readonly before: string | undefined;
  /** Where something was put before it: all of it, as others may have added to it since. */
  readonly after?: string | undefined;
}

/** @param text the value of {@link LAUNCH_VARIABLE} */
export function readLaunch(text: string | undefined): Launch | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const launch = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    const { id, directory, selection, changes } = launch ?? {};
    if (!isText(id) || !isText(directory)) return undefined;
    return {
      id,
      directory,
      selection: Array.isArray(selection) ? selection.filter(isText) : [],
      changes: Array.isArray(changes) ? changes.flatMap(readChange) : [],
    };
  } catch {
    return undefined;
  }
}

/** What a folder is opened with; `undefined`: nothing was chosen for it. */
export function launchSelection(launch: Launch | undefined, folder: string): readonly string[] | undefined {
  return launch?.directory === folder && launch.selection.length > 0 ? launch.selection : undefined;
}

function readChange(entry: unknown): LaunchChange[] {
  const [name, before, after] = Array.isArray(entry) ? (entry as unknown[]) : [];
  if (!isText(name) || name === "") return [];
  return [{ name, before: isText(before) ? before : undefined, after: isText(after) ? after : undefined }];
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
