import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "../evalCache/random.ts";
import { WorldFiles } from "../evalCache/worldFiles.ts";
import { flakeProgram } from "./flakeProgram.ts";

const FILES = ["data/a", "data/b", "data2/a", "data2/c", "src/x", "src/skip", "src/sub/y", "dir/p", "other"];
const NIX_FILES = ["used.nix", "sub/one.nix", "dep/v.nix", "tree/t", "../outside/a"];
const LINKS: readonly (readonly [string, readonly string[]])[] = [
  ["link.nix", ["used.nix", "sub/one.nix", "second.nix"]],
  ["second.nix", ["sub/one.nix", "used.nix"]],
  ["through", ["sub", "linked"]],
  ["linked", ["sub"]],
  ["linkdir", ["data", "data2", "sub/data"]],
  ["sub/data", ["../data", "../data2"]],
  ["dangling", ["nowhere", "dir", "data/a"]],
];
const DIRECTORIES = ["sub", "data", "dir", "src", "dep", "tree"];
const NEW = ["dir/new", "src/new", "src/skip", "data/z", "other2", "sub/z", "data.keep", ".gitattributes"];
const CONTENTS = ["1", "2", "3"];

/** A flake on disk that changes at random; it may be a Git work tree. */
export class FlakeWorld {
  readonly root: string;
  readonly #files: WorldFiles;
  readonly #random: Random;
  readonly #kinds: readonly Mutation[];
  /** Names of what was done, for messages. */
  readonly history: string[] = [];
  #commits = 0;

  constructor(root: string, random: Random, isGit: boolean) {
    this.root = root;
    this.#files = new WorldFiles(root);
    this.#random = random;
    const possible = isGit ? MUTATIONS : MUTATIONS.filter((name) => !name.startsWith("git"));
    // Without these two little could be evaluated for long.
    this.#kinds = [...random.some(possible, 7), "fill", ...(isGit ? (["gitAddAll"] as const) : [])];
    this.#fill();
    if (!isGit) return;
    this.#git("init", "-q");
    this.#git("add", ".");
    if (random.below(2) === 0) this.#commit();
  }

  /** What an output asks, for messages. */
  asked(output: string): string {
    if (this.#files.stat("flake.nix") === undefined) return `${output} of nothing`;
    const lines = readFileSync(this.#files.path("flake.nix"), "utf8").split("\n");
    return lines.find((line) => line.includes(`.${output} = `))?.trim() ?? "";
  }

  /** Does one thing to the world. */
  mutate(): void {
    const mutation = this.#random.pick(this.#kinds);
    this.history.push(`${mutation} ${this.#mutations[mutation]()}`);
  }

  readonly #mutations: Record<Mutation, () => string> = {
    edit: () => this.#eachFile((name, contents) => this.#files.write(name, contents)),
    // With the size and the time that the file had.
    editUnseen: () =>
      this.#eachFile((name, contents) => {
        const time = this.#files.stat(name)?.mtime ?? new Date(0);
        this.#files.write(name, contents);
        utimesSync(this.#files.path(name), time, time);
      }),
    // As an editor does, or Git.
    replace: () =>
      this.#eachFile((name, contents) => {
        const scratch = join(dirname(this.root), "scratch");
        writeFileSync(scratch, contents);
        mkdirSync(dirname(this.#files.path(name)), { recursive: true });
        renameSync(scratch, this.#files.path(name));
      }),
    fill: () => {
      this.#fill();
      return "";
    },
    program: () => {
      this.#program();
      return "";
    },
    touch: () => {
      const name = this.#existing();
      const time = new Date(Date.now() + 1000 * this.#random.below(5000));
      if (name !== undefined) utimesSync(this.#files.path(name), time, time);
      return name ?? "";
    },
    makeExecutable: () => {
      const name = this.#existing();
      if (name !== undefined && this.#files.stat(name)?.isFile() === true)
        chmodSync(this.#files.path(name), this.#random.pick([0o644, 0o755]));
      return name ?? "";
    },
    add: () => {
      const name = this.#random.pick(NEW);
      this.#files.write(name, name.startsWith(".") ? "other export-ignore\n" : this.#random.pick(CONTENTS));
      return name;
    },
    addDirectory: () => {
      const name = this.#random.pick(["empty", "src/empty", "dir/new"]);
      if (this.#files.stat(name) === undefined) mkdirSync(this.#files.path(name), { recursive: true });
      return name;
    },
    remove: () => {
      const name = this.#random.pick([
        ...FILES,
        ...NIX_FILES,
        ...NEW,
        "dir",
        "src/empty",
        "empty",
        "second.nix",
      ]);
      rmSync(this.#files.path(name), { recursive: true, force: true });
      return name;
    },
    rename: () => {
      const [from, to] = [this.#random.pick(FILES), this.#random.pick([...FILES, ...NEW])];
      if (this.#files.stat(from) !== undefined && existsSync(dirname(this.#files.path(to))) && from !== to) {
        rmSync(this.#files.path(to), { recursive: true, force: true });
        renameSync(this.#files.path(from), this.#files.path(to));
      }
      return `${from} ${to}`;
    },
    retarget: () => {
      const [name, targets] = this.#random.pick(LINKS);
      const target = this.#random.pick(targets);
      this.#files.link(name, target);
      return `${name} ${target}`;
    },
    // A directory becomes a link to itself elsewhere, and back.
    moveDirectory: () => {
      const name = this.#random.pick(DIRECTORIES);
      const moved = this.#files.path(`moved-${name}`);
      const stat = this.#files.stat(name);
      if (stat === undefined) return name;
      if (stat.isSymbolicLink()) {
        rmSync(this.#files.path(name));
        renameSync(moved, this.#files.path(name));
      } else {
        // Left from a link that was removed.
        rmSync(moved, { recursive: true, force: true });
        renameSync(this.#files.path(name), moved);
        symlinkSync(`moved-${name}`, this.#files.path(name));
      }
      return name;
    },
    // A file becomes a link to itself elsewhere.
    moveFile: () => {
      const name = this.#random.pick(["data/a", "used.nix", "sub/one.nix", "dep/v.nix"]);
      if (this.#files.stat(name)?.isFile() !== true) return name;
      rmSync(this.#files.path(`${name}.moved`), { recursive: true, force: true });
      renameSync(this.#files.path(name), this.#files.path(`${name}.moved`));
      symlinkSync(`${name.slice(name.lastIndexOf("/") + 1)}.moved`, this.#files.path(name));
      return name;
    },
    typeChange: () => {
      const path = this.#files.path("maybe");
      rmSync(path, { recursive: true, force: true });
      const type = this.#random.pick(["file", "directory", "link", "nothing"]);
      if (type === "file") writeFileSync(path, "x");
      else if (type === "directory") mkdirSync(path);
      else if (type === "link") symlinkSync("nowhere", path);
      return type;
    },
    lock: () => {
      const what = this.#random.pick(["gone", "empty", "damaged"]);
      if (what === "gone") rmSync(this.#files.path("flake.lock"), { force: true });
      else
        this.#files.write(
          "flake.lock",
          what === "empty" ? '{"nodes":{"root":{}},"root":"root","version":7}' : "{",
        );
      return what;
    },
    nothing: () => "",
    gitAdd: () => this.#gitSome("add", "--"),
    gitAddIntent: () => this.#gitSome("add", "--intent-to-add", "--"),
    gitAddAll: () => this.#gitAll("add", "--all"),
    gitForget: () => this.#gitSome("rm", "-q", "-r", "--cached", "-f", "--"),
    gitRemove: () => this.#gitSome("rm", "-q", "-r", "-f", "--"),
    gitRestore: () => this.#gitSome("checkout", "-q", "--"),
    gitReset: () => this.#gitAll("reset", "-q", "--hard"),
    gitCommit: () => {
      if (existsSync(this.#files.path(".git"))) this.#commit();
      return "";
    },
    gitInit: () => {
      if (existsSync(this.#files.path(".git"))) rmSync(this.#files.path(".git"), { recursive: true });
      else {
        this.#git("init", "-q");
        if (this.#random.below(2) === 0) this.#git("add", ".");
      }
      return "";
    },
    gitIgnore: () => {
      this.#files.write(".gitignore", this.#random.pick(["other\n", "data\n", "*.nix\n", ""]));
      return "";
    },
  };

  /** Makes all that is to be there, as it was at first. */
  #fill(): void {
    if (this.#files.stat("flake.nix") === undefined) this.#program();
    const isNew = (name: string): boolean => this.#files.stat(name) === undefined;
    for (const name of [...FILES, ...NIX_FILES].filter(isNew)) this.#files.write(name, CONTENTS[0]!);
    this.#files.write("sub/default.nix", "{ v = import ./one.nix; }");
    this.#files.write("dep/flake.nix", "{ outputs = { self }: { v = import ./v.nix; data = ./v.nix; }; }");
    for (const [name, targets] of LINKS.filter(([link]) => isNew(link))) this.#files.link(name, targets[0]!);
  }

  #program(): void {
    this.#files.write("flake.nix", flakeProgram(this.#random, join(dirname(this.root), "outside")));
  }

  #gitSome(...words: string[]): string {
    const name = this.#random.pick([
      ...FILES,
      ...NIX_FILES.slice(0, 4),
      ...NEW,
      "data",
      "src",
      "flake.nix",
      "flake.lock",
    ]);
    return this.#gitAll(...words, name);
  }

  #gitAll(...words: string[]): string {
    if (existsSync(this.#files.path(".git"))) this.#git(...words);
    return words.join(" ");
  }

  #commit(): void {
    const date = `@${1_000_000_000 + this.#commits++} +0000`;
    const who = { name: "x", email: "x@x" };
    this.#git(
      "-c",
      `user.name=${who.name}`,
      "-c",
      `user.email=${who.email}`,
      "commit",
      "-q",
      "-a",
      "-m",
      "x",
      "--date",
      date,
    );
  }

  /** What Git refuses is no change. */
  #git(...words: string[]): void {
    try {
      execFileSync("git", ["-C", this.root, ...words], { stdio: "ignore" });
    } catch {
      this.history.push("(refused)");
    }
  }

  #eachFile(write: (name: string, contents: string) => void): string {
    const name = this.#random.pick(this.#random.below(2) === 0 ? NIX_FILES : FILES);
    const stat = this.#files.stat(name);
    if (stat === undefined || stat.isFile()) write(name, this.#random.pick(CONTENTS));
    return name;
  }

  #existing(): string | undefined {
    const name = this.#random.pick([...FILES, ...NIX_FILES, ...DIRECTORIES, "flake.nix"]);
    return existsSync(this.#files.path(name)) ? name : undefined;
  }
}

type Mutation = (typeof MUTATIONS)[number];

const MUTATIONS = [
  "edit",
  "editUnseen",
  "replace",
  "fill",
  "program",
  "touch",
  "makeExecutable",
  "add",
  "addDirectory",
  "remove",
  "rename",
  "retarget",
  "moveDirectory",
  "moveFile",
  "typeChange",
  "lock",
  "nothing",
  "gitAdd",
  "gitAddIntent",
  "gitAddAll",
  "gitForget",
  "gitRemove",
  "gitRestore",
  "gitReset",
  "gitCommit",
  "gitInit",
  "gitIgnore",
] as const;
