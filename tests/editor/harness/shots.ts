// shots - where pictures of the editor go: DEVSHELL_EDITOR_SHOTS, else a folder under the system's temporary one.
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A path for a new picture; never one that exists. */
export function shotPath(name: string): string {
  const folder = process.env["DEVSHELL_EDITOR_SHOTS"] ?? join(tmpdir(), "devshell-editor-shots");
  mkdirSync(folder, { recursive: true });
  const slug = name.replaceAll(/[^\w.-]+/g, "-").slice(0, 80);
  for (let n = 1; ; n++) {
    const path = join(folder, `${slug}${n === 1 ? "" : `-${n}`}.png`);
    if (!existsSync(path)) return path;
  }
}
