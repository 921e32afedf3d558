import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AccessRules, type EvaluationMode } from "../../env/host/accessRules.ts";
import { searchPathEntries, urlOfEntry, type SearchPathRequest } from "../../env/host/searchPath.ts";
import type { EvaluationStore } from "../../env/host/evaluationStore.ts";
import { StoreHost } from "../../env/host/storeHost.ts";
import { InputTracker } from "../../env/inputTracker.ts";
import { createEvaluator, type Value } from "../../lang/index.ts";
import { memoryStore } from "./memoryStore.ts";

describe("the evaluator's host", () => {
  let root: string;
  let tracker: InputTracker;
  let rules: AccessRules;
  let messages: string[];
  beforeEach(() => {
    messages = [];
    root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-host-")));
    tracker = new InputTracker("/nix/store");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function evaluate(
    expression: string,
    mode: EvaluationMode = "impure",
    searchPath: Record<string, string> = {},
    store: EvaluationStore = memoryStore(),
  ): Value {
    rules = new AccessRules(mode, store.storeDir, ["https://example.org/allowed"]);
    for (const directory of Object.values(searchPath)) rules.allow(directory);
    const host = new StoreHost({
      store,
      tracker,
      rules,
      system: "x86_64-linux",
      isReadOnly: true,
      environment: { HOME: "/h", FOO: "föö" },
      resolveEntry: (entry) => entry,
      realise: () => new Map(),
      fetch: () => ({ storePath: "/nix/store/x", attributes: new Map() }),
      onMessage: (level, text) => messages.push(`${level}: ${text}`),
    });
    const evaluator = createEvaluator(host, {
      isPure: mode === "pure",
      isRestricted: mode === "restricted",
      searchPath: Object.entries(searchPath).map(([prefix, value]) => ({ prefix, value })),
    });
    return evaluator.forceDeep(evaluator.evalText(expression, root, { kind: "string", text: expression }));
  }

  const words = (expression: string): string[] => (evaluate(expression) as string).split(" ");

  const tracked = (): string[] =>
    tracker.inputs
      .filter((input) => input.kind !== "variable")
      .map((input) => `${input.kind} ${"path" in input ? input.path.replace(root, "") : ""}`)
      .sort();

  it("checks a path's hash, though the path was added before", () => {
    writeFileSync(join(root, "file"), "x");
    const wrong = '(builtins.path { path = ./file; sha256 = builtins.hashString "sha256" "y"; })';
    const message = `store path mismatch in (possibly filtered) path added from '${root}/file'`;
    expect(() => evaluate(wrong)).toThrow(message);
    expect(() => evaluate(`[ (builtins.path { path = ./file; }) ${wrong} ]`)).toThrow(message);
  });

  it("makes a derivation of each of several requests of one name", () => {
    const drv = (b: string): string => `(derivation { name = "a"; system = "s"; builder = "${b}"; }).drvPath`;
    const [first, second, again] = words(
      `toString (map builtins.unsafeDiscardStringContext [ ${drv("x")} ${drv("y")} ${drv("x")} ])`,
    );
    expect(second).not.toBe(first);
    expect(again).toBe(first);
  });

  it("tells the program's warnings from the evaluator's own, as Nix does", () => {
    evaluate('builtins.warn "old" 1');
    evaluate('builtins.warn "" 1');
    expect(messages).toEqual(["warning: evaluation warning: old", "warning: "]);
  });

  it("records files, directories, links, types and what is absent", () => {
    writeFileSync(join(root, "a.nix"), "import ./link.nix");
    writeFileSync(join(root, "real.nix"), "1");
    symlinkSync("real.nix", join(root, "link.nix"));
    mkdirSync(join(root, "dir"));
    writeFileSync(join(root, "dir/x"), "");
    evaluate(
      "[ (import ./a.nix) (builtins.readDir ./dir) (builtins.pathExists ./gone) (builtins.pathExists ./real.nix) ]",
    );
    const inputs = tracked();
    expect(inputs).toEqual(expect.arrayContaining(["file /a.nix", "file /real.nix", "symlink /link.nix"]));
    expect(inputs).toEqual(expect.arrayContaining(["directory /dir", "absent /gone"]));
    expect(inputs).not.toContain("type /real.nix");
  });

  it("sees the machine's own directory beneath a store whose files lie elsewhere", () => {
    const storeDir = join(root, "store");
    const realStoreDir = join(root, "elsewhere/store");
    for (const directory of [storeDir, realStoreDir]) mkdirSync(directory, { recursive: true });
    for (const name of ["both", "outside"]) writeFileSync(join(storeDir, name), `"machine's ${name}"`);
    for (const name of ["both", "inside"]) writeFileSync(join(realStoreDir, name), `"store's ${name}"`);
    tracker = new InputTracker(storeDir);
    const store = { ...memoryStore(storeDir), realStoreDir };
    const read = (name: string, mode?: EvaluationMode): Value =>
      evaluate(`import ${storeDir}/${name}`, mode, {}, store);
    expect(["both", "inside"].map((name) => read(name))).toEqual(["store's both", "store's inside"]);
    expect(tracker.impurity).toBeUndefined();
    expect(read("outside")).toBe("machine's outside");
    expect(tracker.impurity).toContain("not of the store that is used");
    expect(() => read("outside", "pure")).toThrow(/does not exist|forbidden/);
    expect(() => read("nowhere")).toThrow(/does not exist/);
  });

  it("records every entry of a source tree that a filter lets in", () => {
    mkdirSync(join(root, "src/keep"), { recursive: true });
    mkdirSync(join(root, "src/skip"));
    writeFileSync(join(root, "src/keep/a"), "");
    writeFileSync(join(root, "src/skip/b"), "");
    evaluate('(builtins.filterSource (p: t: baseNameOf p != "skip") ./src)');
    expect(tracked()).toEqual(
      expect.arrayContaining(["directory /src", "directory /src/keep", "file /src/keep/a"]),
    );
    expect(tracked()).not.toContain("file /src/skip/b");
  });

  it("records environment variables, set or not, as bytes", () => {
    expect(evaluate('builtins.getEnv "FOO" + builtins.getEnv "NONE"')).toBe("f\xc3\xb6\xc3\xb6");
    expect(tracker.inputs).toEqual(
      expect.arrayContaining([
        { kind: "variable", name: "FOO", value: "f\xc3\xb6\xc3\xb6" },
        { kind: "variable", name: "NONE", value: undefined },
      ]),
    );
  });

  it("keeps pure evaluation from files and variables", () => {
    writeFileSync(join(root, "a.nix"), "1");
    expect(() => evaluate("import ./a.nix", "pure")).toThrow(/forbidden in pure evaluation mode/);
    expect(evaluate('builtins.getEnv "FOO"', "pure")).toBe("");
  });

  it("lets restricted evaluation read the search path alone", () => {
    mkdirSync(join(root, "allowed"));
    writeFileSync(join(root, "allowed/default.nix"), "import ./b.nix");
    writeFileSync(join(root, "allowed/b.nix"), "2");
    writeFileSync(join(root, "a.nix"), "1");
    const searchPath = { lib: join(root, "allowed") };
    expect(evaluate("import <lib>", "restricted", searchPath)).toBe(2);
    expect(() => evaluate("import ./a.nix", "restricted", searchPath)).toThrow(
      /forbidden in restricted mode/,
    );
    symlinkSync("../a.nix", join(root, "allowed/escape.nix"));
    expect(() => evaluate("import <lib/escape.nix>", "restricted", searchPath)).toThrow(
      /forbidden in restricted/,
    );
    expect(() => evaluate('builtins.fetchurl "https://example.org/other"', "restricted")).toThrow(
      /URI .* is forbidden/,
    );
    expect(() => rules.checkUri("https://example.org/allowed/x")).not.toThrow();
    expect(() => rules.checkUri("https://example.org/allowedbutnot")).toThrow();
  });

  it("shows of what leads to an allowed place only the way there", () => {
    mkdirSync(join(root, "allowed/inner"), { recursive: true });
    mkdirSync(join(root, "secret"));
    const searchPath = { lib: join(root, "allowed") };
    const names = (path: string) =>
      evaluate(`toString (builtins.attrNames (builtins.readDir ${path}))`, "restricted", searchPath);
    symlinkSync("..", join(root, "allowed/up"));
    expect(names("./.")).toBe("allowed");
    expect(names("<lib/up>")).toBe("allowed");
    expect(names("<lib>")).toBe("inner up");
    expect(() => names("<lib/up/secret>")).toThrow(/forbidden in restricted mode/);
  });

  it("does not let a program widen restricted evaluation with a search path of its own", () => {
    writeFileSync(join(root, "a"), "1");
    const expression = `let __nixPath = [ { prefix = "foo"; path = ./.; } ]; in builtins.readFile <foo/a>`;
    expect(() => evaluate(expression, "restricted")).toThrow(/not found|forbidden in restricted mode/);
  });

  it("reads what a context names only where that is in the store, and has nothing substituted", () => {
    const text = 'builtins.toFile "a" "b"';
    const derivation = 'derivation { name = "d"; system = "s"; builder = "b"; }';
    const store = { ...memoryStore(), isValidPath: () => false };
    for (const [expression, path] of [
      [`import (${text})`, "[a-z0-9]{32}-a"],
      [`builtins.readFile "\${${text}}/b"`, "[a-z0-9]{32}-a"],
      [`builtins.pathExists (${derivation})`, "[a-z0-9]{32}-d\\.drv"],
    ] as const)
      expect(() => evaluate(expression, "impure", {}, store)).toThrow(
        new RegExp(`^path '${path}' is not valid$`),
      );
  });

  it("names what cannot be read", () => {
    expect(() => evaluate("import ./gone.nix")).toThrow(/gone\.nix' does not exist/);
    mkdirSync(join(root, "dir"));
    expect(() => evaluate("builtins.readFile ./dir")).toThrow(/dir/);
    expect(() => evaluate('"${./gone}"')).toThrow(`path '${root}/gone' does not exist`);
    writeFileSync(join(root, "file"), "");
    symlinkSync("file", join(root, "linked"));
    expect(() => evaluate("builtins.readDir ./linked")).toThrow(`'${root}/file' is not a directory`);
  });
});

describe("the search path", () => {
  const entries = (
    variable: string | undefined,
    includes: string[] = [],
    more: Partial<SearchPathRequest> = {},
  ) =>
    searchPathEntries({
      includes,
      variable,
      option: undefined,
      commandLine: { whole: undefined, extra: undefined },
      isRestricted: false,
      ...more,
      stateDir: "/state",
      userExpressions: "/home/u/.nix-defexpr",
    }).map(({ prefix, value }) => `${prefix}=${value}`);

  it("has -I first, then NIX_PATH", () => {
    expect(entries("b=/b:/c", ["a=/a"])).toEqual(["a=/a", "b=/b", "=/c"]);
  });

  it("has the command line's nix-path in the variable's place, extra-nix-path after either, the option last", () => {
    const option = "o=/o p=/p";
    const whole = "w=/w";
    const extra = "e=/e";
    expect(entries("v=/v", [], { option, commandLine: { whole, extra: undefined } })).toEqual(["w=/w"]);
    expect(entries("v=/v", [], { option, commandLine: { whole: undefined, extra } })).toEqual([
      "v=/v",
      "e=/e",
    ]);
    expect(entries("v=/v", [], { option })).toEqual(["v=/v"]);
    expect(entries(undefined, ["i=/i"], { option })).toEqual(["i=/i", "o=/o", "p=/p"]);
    expect(entries(undefined, [], { isRestricted: true })).toEqual([]);
  });

  it("keeps the colons of addresses", () => {
    expect(entries("nixpkgs=https://example.org/a.tar.gz:x=channel:nixos-24.05:/y")).toEqual([
      "nixpkgs=https://example.org/a.tar.gz",
      "x=channel:nixos-24.05",
      "=/y",
    ]);
    expect(urlOfEntry("channel:nixos-24.05")).toBe("https://nixos.org/channels/nixos-24.05/nixexprs.tar.xz");
    expect(urlOfEntry("/y")).toBeUndefined();
  });

  it("has the channels where nothing is said", () => {
    expect(entries(undefined)).toEqual([
      "=/home/u/.nix-defexpr/channels",
      "=/state/profiles/per-user/root/channels",
    ]);
    expect(entries("")).toEqual([]);
  });
});
