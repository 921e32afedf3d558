import { render } from "ink";
import { ClosureBrowser } from "./ClosureBrowser.tsx";
import type { ClosureModel } from "./closureModel.ts";

const ENTER_ALTERNATE_SCREEN = "\u001B[?1049h";
const LEAVE_ALTERNATE_SCREEN = "\u001B[?1049l";

/** Shows a closure on the terminal until the user leaves; what was on the screen before comes back. */
export async function openClosureBrowser(model: ClosureModel): Promise<void> {
  process.stdout.write(ENTER_ALTERNATE_SCREEN);
  try {
    const app = render(<ClosureBrowser model={model} />, { interactive: true, patchConsole: false });
    await app.waitUntilExit();
  } finally {
    process.stdout.write(LEAVE_ALTERNATE_SCREEN);
  }
}
