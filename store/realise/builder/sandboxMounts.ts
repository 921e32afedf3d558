import { lstatSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fsPath, type ByteString } from "../../../core/index.ts";

export interface Bind {
  readonly source: ByteString;
  /** As the builder sees it. */
  readonly target: ByteString;
  /** Where that lies on the host. */
  readonly place: ByteString;
  readonly mode: "ro" | "rw";
}

/** Collects what is bound into a root, making the places to mount on. */
export class Binds {
  readonly list: Bind[] = [];
  readonly #root: ByteString;

  constructor(root: ByteString) {
    this.#root = root;
  }

  /** Where a path of the sandbox lies on the host. */
  placeOf(target: ByteString): ByteString {
    return join(this.#root, target);
  }

  /** As {@link bind}, read-only; a link is made again, for links cannot be mounted on. */
  async show(source: ByteString, target: ByteString): Promise<void> {
    if (!lstatSync(fsPath(source)).isSymbolicLink()) {
      await this.bind(source, target, "ro");
      return;
    }
    const place = this.placeOf(target);
    if (lstatSync(fsPath(place), { throwIfNoEntry: false }) !== undefined) {
      await this.bind(realpathSync(fsPath(source), "latin1"), target, "ro");
      return;
    }
    await mkdir(fsPath(dirname(place)), { recursive: true });
    await symlink(readlinkSync(fsPath(source), "buffer"), fsPath(place));
  }

  async bind(source: ByteString, target: ByteString, mode: "ro" | "rw"): Promise<void> {
    const place = this.placeOf(target);
    if (lstatSync(fsPath(source)).isDirectory()) await mkdir(fsPath(place), { recursive: true });
    else {
      await mkdir(fsPath(dirname(place)), { recursive: true });
      await writeFile(fsPath(place), "", { flag: "a" });
    }
    this.list.push({ source, target, place, mode });
  }
}

/** The binds for one `mount --all`. */
export function fstabOf(binds: readonly Bind[]): ByteString {
  const mounts = readMounts();
  // In a user namespace a mount's restrictions may not be lifted, so a remount must repeat them.
  const lockedOptions = (path: ByteString): readonly string[] =>
    mounts.find(({ place }) => path === place || path.startsWith(place === "/" ? "/" : `${place}/`))
      ?.options ?? [];
  return binds
    .map(({ source, place, mode }) => {
      const options = mode === "ro" ? ["bind", "ro", ...lockedOptions(source)] : ["bind"];
      return `${escapeField(source)} ${escapeField(place)} none ${options.join(",")} 0 0\n`;
    })
    .join("");
}

interface MountPoint {
  readonly place: string;
  readonly options: readonly string[];
}

const LOCKED = new Set(["nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"]);

/** Deepest first. */
function readMounts(): readonly MountPoint[] {
  return readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const place = (fields[4] ?? "/").replaceAll(/\\(\d{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      );
      return { place, options: (fields[5] ?? "").split(",").filter((option) => LOCKED.has(option)) };
    })
    .reverse()
    .sort((a, b) => b.place.length - a.place.length);
}

function escapeField(text: string): string {
  return text.replaceAll(
    /[\s\\#]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
}
