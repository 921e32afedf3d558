import { lstatSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fsPath, type ByteString } from "../../../../core/index.ts";

export interface LinkProgramsRequest {
  /** The unpacked package whose programs are wanted. */
  readonly package: ByteString;
  /** The tree of its closure, in which they run. */
  readonly environment: ByteString;
  readonly out: ByteString;
}

/** Where Debian has programs, below `usr`, and where a profile has them. */
const PROGRAMS: readonly (readonly [from: string, to: string])[] = [
  ["bin", "bin"],
  ["games", "bin"],
  ["sbin", "sbin"],
];

/**
 * Links a package's programs, by all names that they have in their tree (`vi` for `vim.basic`), and its shared files
 * to where a profile has them: `bin`, `sbin`, `share`.
 */
export function linkPrograms({ package: path, environment, out }: LinkProgramsRequest): void {
  mkdirSync(fsPath(out));
  for (const [from, to] of PROGRAMS) {
    const own = new Set(namesIn(`${path}/usr/${from}`));
    if (own.size === 0) continue;
    const directory = `${environment}/usr/${from}`;
    const real = realpathSync(fsPath(directory), "latin1");
    mkdirSync(fsPath(`${out}/${to}`), { recursive: true });
    for (const name of namesIn(directory)) {
      const program = programOf(`${directory}/${name}`);
      if (program === undefined || dirname(program) !== real || !own.has(basename(program))) continue;
      const link = `${out}/${to}/${name}`;
      if (lstatSync(fsPath(link), { throwIfNoEntry: false }) === undefined)
        symlinkSync(fsPath(`${directory}/${name}`), fsPath(link));
    }
  }
  if (namesIn(`${path}/usr/share`).length > 0)
    symlinkSync(fsPath(`${path}/usr/share`), fsPath(`${out}/share`));
}

/** What a name stands for in the end; `undefined` for a link that leads nowhere. */
function programOf(path: ByteString): ByteString | undefined {
  try {
    return realpathSync(fsPath(path), "latin1");
  } catch {
    return undefined;
  }
}

function namesIn(directory: ByteString): string[] {
  try {
    return readdirSync(fsPath(directory), "latin1").sort();
  } catch {
    return [];
  }
}
