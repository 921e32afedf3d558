import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpackArchive } from "../../../env/fetch/index.ts";
import { deleteTree } from "../../../store/index.ts";
import { paxOf, type ArchiveEntry } from "./writeArchives.ts";

/** A place where an archive is unpacked, with things around it that it must not touch. */
export class ArchivePlace implements Disposable {
  readonly dir: string = realpathSync(mkdtempSync(join(tmpdir(), "devshell-archive-")));
  readonly #before: string;

  constructor() {
    mkdirSync(join(this.dir, "around/secret"), { recursive: true });
    mkdirSync(join(this.dir, "around/work"));
    writeFileSync(join(this.dir, "around/secret/canary"), "alive", { mode: 0o600 });
    this.#before = this.#around();
  }

  get canary(): string {
    return join(this.dir, "around/secret/canary");
  }

  /** @returns the tree @throws what unpacking throws, and where something outside has changed */
  async unpack(archive: Buffer): Promise<string> {
    const work = join(this.dir, "around/work");
    const file = join(work, "download");
    writeFileSync(file, archive);
    const [outcome] = await Promise.allSettled([
      unpackArchive(file, join(work, "tree"), "https://example.org/archive"),
    ]);
    const after = this.#around();
    if (after !== this.#before)
      throw new Error(`outside of the tree, before:\n${this.#before}\nafter:\n${after}`);
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value.tree;
  }

  /** Makes room for the next archive. */
  clear(): void {
    deleteTree(join(this.dir, "around/work/tree"));
  }

  [Symbol.dispose](): void {
    deleteTree(this.dir);
  }

  #around(): string {
    return describe(this.dir, join(this.dir, "around/work/tree"), join(this.dir, "around/work/download"));
  }
}

function describe(path: string, ...except: readonly string[]): string {
  const stats = lstatSync(path);
  const { mode, nlink } = stats;
  const line = `${path} ${mode.toString(8)}`;
  if (stats.isDirectory())
    return [
      line,
      ...readdirSync(path)
        .map((name) => join(path, name))
        .filter((each) => !except.includes(each))
        .map((each) => describe(each, ...except)),
    ].join("\n");
  return `${line} ${nlink} ${stats.isSymbolicLink() ? readlinkSync(path) : readFileSync(path, "latin1")}`;
}

/** Archives that reach for what lies outside; a name for each. */
export function attacks(
  canary: string,
): readonly (readonly [name: string, entries: readonly ArchiveEntry[]])[] {
  const content = Buffer.from("overwritten");
  const up = "../../secret/canary";
  const file = (name: string): ArchiveEntry => ({ name, content });
  const link = (name: string, to: string): ArchiveEntry => ({ name, type: "2", link: to });
  const hard = (name: string, to: string): ArchiveEntry => ({ name, type: "1", link: to });
  return [
    ["a name that leads up", [file(up)]],
    ["a name that leads up from within", [{ name: "dir/", type: "5", mode: 0o755 }, file(`dir/../${up}`)]],
    ["an absolute name", [file(canary)]],
    ["a file through a link", [link("to", "../../secret"), file("to/canary")]],
    ["a file through an absolute link", [link("to", canary.slice(0, -"/canary".length)), file("to/canary")]],
    ["a file in the place of a link", [link("to", canary), file("to")]],
    ["a file through two links", [link("a", ".."), link("b", "a/../secret"), file("b/canary")]],
    [
      "a directory that turns into a link",
      [{ name: "dir/", type: "5", mode: 0o755 }, link("dir", "../../secret"), file("dir/canary")],
    ],
    ["a hard link that leads up", [hard("mine", up), file("mine")]],
    ["an absolute hard link", [hard("mine", canary), file("mine")]],
    ["a hard link through a link", [link("to", "../../secret"), hard("mine", "to/canary"), file("mine")]],
    ["a hard link to a link", [link("to", canary), hard("mine", "to"), file("mine")]],
    [
      "a directory's mode through a link",
      [link("to", "../../secret"), { name: "to/", type: "5", mode: 0o777 }],
    ],
    ["a longer name in a pax header", [paxOf({ path: up }), file("harmless")]],
    ["a longer link in a pax header", [paxOf({ linkpath: canary }), hard("mine", "harmless"), file("mine")]],
    [
      "a GNU long name",
      [{ name: "././@LongLink", type: "L", content: Buffer.from(`${up}\0`) }, file("harmless")],
    ],
  ];
}
