/** Where `devshell code` says what it opened a window with: `{"directory":"/p","selection":["-A","pan"]}`. */
export const LAUNCH_VARIABLE = "DEVSHELL_EDITOR_SELECTION";

/** The selection that `devshell code` was given for a folder; `undefined`: it opened no such window. */
export function launchSelection(text: string | undefined, folder: string): readonly string[] | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const { directory, selection } = JSON.parse(text) as { directory?: unknown; selection?: unknown };
    return directory === folder && Array.isArray(selection) && selection.every(isText)
      ? selection
      : undefined;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
