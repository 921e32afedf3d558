import { lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";

/** The files of a world that changes at random, by their names in it. */
export class WorldFiles {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** `undefined`, too, where a file stands in a directory's place above it. */
  stat(name: string): Stats | undefined {
    try {
      return lstatSync(this.path(name), { throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  }

  /** Whatever stands in its place, or in that of the directory above, goes. */
  write(name: string, contents: string): void {
    const path = this.path(name);
    const above = dirname(path);
    if (lstatSync(above, { throwIfNoEntry: false })?.isFile() === true) rmSync(above);
    mkdirSync(above, { recursive: true });
    if (this.stat(name)?.isDirectory() === true) rmSync(path, { recursive: true });
    writeFileSync(path, contents);
  }

  link(name: string, target: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    rmSync(this.path(name), { force: true, recursive: true });
    symlinkSync(target, this.path(name));
  }
}
