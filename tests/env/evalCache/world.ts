import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "./random.ts";
import { WorldFiles } from "./worldFiles.ts";

/** Reads the world in every way that evaluation has. */
const EXPRESSION = `{ arg ? "none" }:
let
  orNull = path: read: if builtins.pathExists path then read path else null;
  orNull' = read: path: orNull path read;
  drv = name: more: (derivation ({ inherit name; system = "x"; builder = "b"; } // more)).drvPath;
in {
  inherit arg;
  read = orNull ./data/a builtins.readFile;
  hash = orNull ./data/b (builtins.hashFile "sha256");
  lib = import ./lib;
  linked = orNull ./link.nix import;
  through = orNull ./linkdir/a builtins.readFile;
  listing = orNull ./dir builtins.readDir;
  linkedListing = orNull ./linkdir builtins.readDir;
  exists = map builtins.pathExists [ ./maybe ./dir/new ./dangling (toString ./. + "/dangling/") ];
  type = orNull ./maybe builtins.readFileType;
  variables = map builtins.getEnv [ "PROP_A" "PROP_B" "PROP-C" "OPTIND" ];
  found = import <found/file.nix>;
  searchPath = builtins.nixPath;
  place = toString ./.;
  system = builtins.currentSystem;
  source = drv "source" { src = ./src; };
  filtered = drv "filtered" { src = builtins.filterSource (path: type: baseNameOf path != "skip") ./src; };
  renamed = drv "renamed" { src = builtins.path { path = ./src; name = "n"; filter = path: type: type != "symlink"; }; };
  flat = orNull ./data/a (path: builtins.path { inherit path; recursive = false; });
  types = map (orNull' builtins.readFileType) [ ./data ./data/a ./src/sub ./linkdir ];
  own = orNull ./lib/one.nix (path: builtins.scopedImport { toString = x: "scoped"; } path);
  text = drv "text" { file = builtins.toFile "text" (builtins.readFile ./data/a); dep = drv "dep" { }; };
  manyA = (import ./many.nix).a;
  manyB = (import ./many.nix).b;
  manyC = (import ./many.nix).c.x;
  manyNames = builtins.attrNames (import ./many.nix).c;
  manyPlace = builtins.unsafeGetAttrPos "b" (import ./many.nix);
  manyText = orNull ./many.nix (builtins.hashFile "md5");
  time = builtins.currentTime;
}
`;
export const ATTRIBUTES = [...EXPRESSION.matchAll(/^ {2}(\w+) = /gm)]
  .map(([, name]) => name!)
  .filter((name) => !["orNull", "drv"].includes(name))
  .concat("arg");

const CONTENTS = ["one", "two", "six"];
const FILES = ["data/a", "data/b", "data2/a", "data2/c", "src/x", "src/skip", "src/sub/y", "dir/p", "maybe"];
const NIX_FILES = ["lib/one.nix", "lib/two.nix", "found1/found/file.nix", "found2/found/file.nix"];
const NIX_CONTENTS = [
  "{ v = 1; here = toString ./.; }",
  "{ v = 2; here = toString ./.; }",
  "{ v = 3; here = toString ./x; }",
];
/** What is written for each definition of `many.nix`. */
const DEFINITIONS = [
  "toString 1",
  "toString 2",
  'let y = "z"; in y',
  "other",
  "toString other",
  '"${other}s"',
  "[ other ]",
  "(import ./lib).one.v",
  "builtins.typeOf (import ./lib/two.nix)",
  '(v: "v${v}") other',
  "undefined",
  "1",
];
const LINKS: readonly (readonly [string, readonly string[]])[] = [
  ["link.nix", ["links/second.nix", "lib/one.nix", "lib/two.nix"]],
  ["links/second.nix", ["../lib/one.nix", "../lib/two.nix", "third.nix"]],
  ["links/third.nix", ["../through/one.nix"]],
  ["through", ["lib", "otherlib"]],
  ["linkdir", ["data", "data2", "links/data"]],
  ["links/data", ["../data", "../data2"]],
  ["dangling", ["nowhere", "dir", "data/a"]],
];

/** A project on disk that changes at random, with the variables and settings that evaluation sees. */
export class World {
  readonly root: string;
  readonly #files: WorldFiles;
  readonly #random: Random;
  /** Few, so that they meet: another world has others. */
  readonly #kinds: readonly (typeof MUTATIONS)[number][];
  /** Names of what was done, for messages. */
  readonly history: string[] = [];
  readonly #definitions: string[] = Array.from({ length: 8 }, () => DEFINITIONS[0]!);

  constructor(root: string, random: Random) {
    this.root = root;
    this.#files = new WorldFiles(root);
    this.#random = random;
    this.#kinds = ["editDefinition", ...random.some(MUTATIONS, 6)];
    for (const name of FILES) this.#files.write(name, CONTENTS[0]!);
    for (const name of NIX_FILES) this.#files.write(name, NIX_CONTENTS[0]!);
    this.#files.write("otherlib/one.nix", NIX_CONTENTS[1]!);
    this.#files.write("lib/default.nix", "{ one = import ./one.nix; two = import ./two.nix; }");
    this.#files.write("default.nix", EXPRESSION);
    this.#writeDefinitions();
    for (const [name, targets] of LINKS) this.#files.link(name, targets[0]!);
    process.env["NIX_PATH"] = join(root, "found1");
  }

  get expression(): string {
    return join(this.root, "default.nix");
  }

  /** Does one thing to the world. */
  mutate(): void {
    const mutation = this.#random.pick(this.#kinds);
    try {
      this.history.push(`${mutation} ${this.#mutations[mutation]()}`);
    } catch (error) {
      // A file where a directory was: what the file system refuses is no change.
      if (!(error instanceof Error && "code" in error)) throw error;
      this.history.push(`${mutation} (refused)`);
    }
  }

  readonly #mutations: Record<(typeof MUTATIONS)[number], () => string> = {
    edit: () => this.#eachFile((name, contents) => this.#files.write(name, contents)),
    // As an editor does, or Git.
    replace: () =>
      this.#eachFile((name, contents) => {
        this.#files.write("scratch", contents);
        mkdirSync(dirname(this.#files.path(name)), { recursive: true });
        renameSync(this.#files.path("scratch"), this.#files.path(name));
      }),
    // With the size and the time that the file had.
    editUnseen: () =>
      this.#eachFile((name, contents) => {
        const time = this.#files.stat(name)?.mtime ?? new Date(0);
        this.#files.write(name, contents);
        utimesSync(this.#files.path(name), time, time);
      }),
    replaceUnseen: () =>
      this.#eachFile((name, contents) => {
        const time = this.#files.stat(name)?.mtime ?? new Date(0);
        this.#files.write("scratch", contents);
        utimesSync(this.#files.path("scratch"), time, time);
        mkdirSync(dirname(this.#files.path(name)), { recursive: true });
        renameSync(this.#files.path("scratch"), this.#files.path(name));
      }),
    editDefinition: () => {
      const n = this.#random.below(8);
      this.#definitions[n] = this.#random.pick(DEFINITIONS);
      this.#writeDefinitions();
      return `many.nix ${n} ${this.#definitions[n]}`;
    },
    touch: () => {
      const name = this.#existing();
      // Back, too, as what is unpacked or copied may be.
      const now = new Date(this.#random.below(2) === 0 ? Date.now() : 1_000_000_000_000);
      if (name !== undefined) utimesSync(this.#files.path(name), now, now);
      return name ?? "";
    },
    makeExecutable: () => {
      const name = this.#existing();
      if (name !== undefined && this.#files.stat(name)?.isFile() === true)
        chmodSync(this.#files.path(name), this.#random.pick([0o644, 0o755]));
      return name ?? "";
    },
    add: () => {
      const name = `${this.#random.pick(["dir", "src", "src/sub", "data"])}/${this.#random.pick(["new", "skip", "z"])}`;
      this.#files.write(name, this.#random.pick(CONTENTS));
      return name;
    },
    remove: () => {
      const name = this.#random.pick([
        ...FILES,
        "dir/new",
        "src/z",
        "data/z",
        "src/new",
        "dir",
        "links/third.nix",
      ]);
      rmSync(this.#files.path(name), { recursive: true, force: true });
      return name;
    },
    rename: () => {
      const [from, to] = [this.#random.pick(FILES), this.#random.pick(FILES)];
      if (existsSync(this.#files.path(from)) && existsSync(dirname(this.#files.path(to)))) {
        rmSync(this.#files.path(to), { recursive: true, force: true });
        if (from !== to) renameSync(this.#files.path(from), this.#files.path(to));
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
      const name = this.#random.pick(["lib", "data", "dir", "src"]);
      const path = this.#files.path(name);
      const moved = this.#files.path(`moved-${name}`);
      const stat = this.#files.stat(name);
      if (stat === undefined) return name;
      if (stat.isSymbolicLink()) {
        rmSync(path);
        renameSync(moved, path);
      } else {
        // Left from a link that was removed.
        rmSync(moved, { recursive: true, force: true });
        renameSync(path, moved);
        symlinkSync(`moved-${name}`, path);
      }
      return name;
    },
    // Other inodes, the same bytes.
    copyDirectory: () => {
      const name = this.#random.pick(["lib", "data", "dir", "src"]);
      if (this.#files.stat(name)?.isDirectory() !== true) return name;
      cpSync(this.#files.path(name), this.#files.path("scratch-dir"), {
        recursive: true,
        verbatimSymlinks: true,
      });
      rmSync(this.#files.path(name), { recursive: true });
      renameSync(this.#files.path("scratch-dir"), this.#files.path(name));
      return name;
    },
    // A file takes a directory's place, and is one again.
    flattenDirectory: () => {
      const name = this.#random.pick(["data", "dir", "src", "src/sub"]);
      const path = this.#files.path(name);
      if (this.#files.stat(dirname(name))?.isFile() === true) return name;
      const isDirectory = this.#files.stat(name)?.isDirectory() === true;
      rmSync(path, { recursive: true, force: true });
      mkdirSync(dirname(path), { recursive: true });
      if (isDirectory) writeFileSync(path, "flat");
      else this.#files.write(`${name}/${name === "data" ? "a" : "p"}`, CONTENTS[0]!);
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
    variable: () => {
      const name = this.#random.pick(["PROP_A", "PROP_B", "PROP-C", "OPTIND"]);
      const value = this.#random.pick([undefined, "", "1", "2", "o'n\ne", "ä"]);
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
      return `${name} ${value}`;
    },
    searchPath: () => {
      const [one, two] = [join(this.root, "found1"), join(this.root, "found2")];
      const values = [
        one,
        two,
        `${two}:${one}`,
        `nowhere:${one}`,
        `found=${two}/found`,
        `found=${one}/found:${two}`,
      ];
      const value = this.#random.pick(values);
      process.env["NIX_PATH"] = value;
      return value;
    },
    setting: () => {
      const value = this.#random.pick(["x86_64-linux", "aarch64-linux"]);
      process.env["NIX_CONFIG"] = `system = ${value}\nsubstitute = false`;
      return value;
    },
    configuration: () => {
      const file = join(process.env["NIX_CONF_DIR"]!, "nix.conf");
      mkdirSync(dirname(file), { recursive: true });
      const text = this.#random.pick([
        "eval-system = a\n",
        "eval-system = b\n",
        "include more.conf\n",
        "!include none.conf\n",
        "restrict-eval = true\n",
        undefined,
      ]);
      if (text === undefined) rmSync(file, { force: true });
      else writeFileSync(file, text);
      if (text?.startsWith("include") === true)
        writeFileSync(join(dirname(file), "more.conf"), `eval-system = ${this.#random.pick(["a", "c"])}\n`);
      return text ?? "";
    },
    nothing: () => "",
  };

  #eachFile(write: (name: string, contents: string) => void): string {
    const isNix = this.#random.below(3) === 0;
    const name = this.#random.pick(isNix ? NIX_FILES : FILES);
    const stat = this.#files.stat(name);
    if (stat === undefined || stat.isFile()) write(name, this.#random.pick(isNix ? NIX_CONTENTS : CONTENTS));
    return name;
  }

  #writeDefinitions(): void {
    const [a, b, c, d, e, f, g, h] = this.#definitions;
    const comment = this.#random.pick(["# one", "# another", "/* two\n lines */", ""]);
    this.#files.write(
      "many.nix",
      `${comment}\nlet other = "o"; unused = ${a}; used = ${b}; in {\n  a = ${c}; ${comment}\n  b = toString used;\n  c.x = ${d}; c = { y = ${e}; }; rest = rec { p = ${f}; q = ${g}; }; dropped = v: ${h};\n}\n`,
    );
  }

  #existing(): string | undefined {
    const name = this.#random.pick([...FILES, ...NIX_FILES, "dir", "src", "lib"]);
    return existsSync(this.#files.path(name)) ? name : undefined;
  }
}

const MUTATIONS = [
  "editDefinition",
  "edit",
  "replace",
  "editUnseen",
  "replaceUnseen",
  "touch",
  "makeExecutable",
  "add",
  "remove",
  "rename",
  "retarget",
  "moveDirectory",
  "copyDirectory",
  "flattenDirectory",
  "typeChange",
  "variable",
  "searchPath",
  "setting",
  "configuration",
  "nothing",
] as const;

/** Cuts or overwrites one of the cache's files. */
export function damageOneFile(directory: string, random: Random): string {
  if (!existsSync(directory)) return "";
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  if (files.length === 0) return "";
  const entry = random.pick(files);
  const path = join(entry.parentPath, entry.name);
  const bytes = readFileSync(path);
  // The launcher runs a record's shell form as it is: that one is only cut, as a full disk would.
  if (random.below(2) === 0 || !path.endsWith(".json"))
    writeFileSync(path, bytes.subarray(0, random.below(bytes.length + 1)));
  else if (bytes.length > 0) {
    bytes[random.below(bytes.length)] = random.below(256);
    writeFileSync(path, bytes);
  }
  return path;
}
