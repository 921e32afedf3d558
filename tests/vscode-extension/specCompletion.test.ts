import { describe, expect, it } from "vitest";
import type { PackagesReport, VariableReport } from "../../cli/protocol/types.ts";
import {
  completeSpec,
  packageCompletions,
  type PackageQuery,
  type SpecCompletion,
} from "../../vscode-extension/src/spec/completeSpec.ts";
import { PackageIndex, packagesArguments } from "../../vscode-extension/src/spec/packageIndex.ts";
import { specCursorAt } from "../../vscode-extension/src/spec/specCursor.ts";
import { parseSpecDocument } from "../../vscode-extension/src/spec/specDocument.ts";
import { specFileOf } from "../../vscode-extension/src/spec/specFile.ts";
import { schema } from "./specSchema.ts";

const variables: readonly VariableReport[] = [
  { name: "CC", action: "set", value: "gcc", isSecret: false, origin: { by: "setup" } },
  { name: "TOKEN", action: "set", value: "hunter2", isSecret: true, origin: { by: "spec" } },
  {
    name: "PATH",
    action: "prepend",
    value: "/a/bin",
    separator: ":",
    isSecret: false,
    origin: { by: "devshell" },
  },
  { name: "OLD", action: "unset", isSecret: false, origin: { by: "spec" } },
];
const packages: PackagesReport["packages"] = [
  { name: "gcc", versions: ["12.2.0"], summary: "GNU C compiler" },
  { name: "gcc-11", versions: ["11.3.0-12", "1:11.2"] },
];

interface Completed {
  readonly items: readonly SpecCompletion[];
  readonly query: PackageQuery | undefined;
  /** What the document becomes, by the label that is taken; snippets' places are shown as they are. */
  readonly take: (label: string) => string;
}

function complete(name: string, marked: string): Completed {
  const offset = marked.indexOf("¦");
  const text = marked.replace("¦", "");
  const file = specFileOf(`/p/${name}`, "plaintext");
  if (file === undefined) throw new Error(name);
  const cursor = specCursorAt(text, offset, file);
  if (cursor === undefined) return { items: [], query: undefined, take: () => "no cursor" };
  const document = parseSpecDocument(text, file);
  const { items, query } = completeSpec(document, cursor, schema, {
    variables,
    callerNames: ["HOME", "PATH"],
  });
  const found = query === undefined ? [] : packageCompletions(cursor, document, query, packages);
  const all = [...items, ...found];
  const take = (label: string): string => {
    const item = all.find((one) => one.label === label);
    return item === undefined
      ? "not offered"
      : text.slice(0, cursor.start) + item.insert + text.slice(cursor.end);
  };
  return { items: all, query, take };
}

const labels = (name: string, marked: string): string[] =>
  complete(name, marked).items.map(({ label }) => label);

describe("fields", () => {
  it("are those that are not there yet", () => {
    const found = labels("devshell.yaml", "collection: debian\npackages: []\n¦");
    expect(found).toContain("suite");
    expect(found).not.toContain("packages");
    expect(found).not.toContain("collection");
    expect(found).not.toContain("$schema");
    expect(labels("devshell.json", "{ ¦ }")).toContain("$schema");
  });

  it("come with the beginning of a value of their type", () => {
    expect(complete("devshell.yaml", "pa¦").take("packages")).toBe("packages:\n  - $0");
    expect(complete("devshell.yaml", "¦").take("shellHook")).toBe("shellHook: |\n  $0");
    expect(complete("devshell.yaml", "¦").take("env")).toBe("env:\n  ${1:NAME}: $0");
    expect(complete("devshell.yaml", "¦").take("services")).toBe("services:\n  ${1:NAME}:\n    command: $0");
    expect(complete("devshell.yaml", "{ ¦ }").take("packages")).toBe("{ packages: [$0] }");
    expect(complete("devshell.json", '{ "pa¦" }').take("packages")).toBe('{ "packages": ["$0"] }');
    expect(complete("devshell.json", "{ ¦ }").take("env")).toBe('{ "env": { "${1:NAME}": "$0" \\} }');
    expect(complete("devshell.toml", "pa¦").take("packages")).toBe('packages = ["$0"]');
    expect(complete("devshell.toml", "¦").take("env")).toBe('[env]\n${1:NAME} = "$0"');
    expect(complete("devshell.toml", "¦\nsuite = 'sid'\n").take("env")).toBe(
      "env = { ${1:NAME} = \"$0\" }\nsuite = 'sid'\n",
    );
  });

  it("leave a value that is there alone", () => {
    expect(complete("devshell.yaml", "pack¦: [gcc]\n").take("packages")).toBe("packages: [gcc]\n");
    expect(complete("devshell.json", '{ "pack¦": [] }').take("packages")).toBe('{ "packages": [] }');
    expect(complete("devshell.toml", "pack¦ = []\n").take("packages")).toBe("packages = []\n");
  });

  it("are offered in package.json's own field, in services and as TOML's tables", () => {
    expect(labels("package.json", '{ "¦" }')).toEqual([]);
    expect(labels("package.json", '{ "devshell": { "¦" } }')).toContain("packages");
    expect(labels("devshell.yaml", "services:\n  web:\n    ¦")).toEqual(["command"]);
    expect(labels("devshell.toml", "[env]\nA = 'b'\n[¦")).toEqual(["scripts", "services", "args"]);
    expect(complete("devshell.toml", "[scr¦]\n").take("scripts")).toBe("[scripts]\n");
  });
});

describe("values", () => {
  it("are what the schema names", () => {
    expect(labels("devshell.yaml", "pure: ¦")).toEqual(["true", "false"]);
    expect(labels("devshell.yaml", "collection: ¦")).toContain("debian");
    expect(labels("devshell.toml", 'suite = "¦"')).toContain("bookworm");
    expect(complete("devshell.toml", "collection = ¦").take("debian")).toBe('collection = "debian"');
    expect(complete("devshell.yaml", "collection: 'd¦'").take("debian")).toBe("collection: 'debian'");
  });

  it("begin a list where one belongs", () => {
    expect(complete("devshell.yaml", "packages: ¦").take("[]")).toBe("packages: \n  - $0");
    expect(complete("devshell.json", '{ "packages": ¦ }').take("[]")).toBe('{ "packages": ["$0"] }');
  });

  it("are variables' names in env, unset and keep; no secret is shown", () => {
    expect(labels("devshell.yaml", "env:\n  CC: x\n  ¦")).toEqual(["TOKEN", "PATH", "OLD"]);
    expect(complete("devshell.yaml", "env:\n  T¦").take("TOKEN")).toBe("env:\n  TOKEN: $0");
    expect(labels("devshell.yaml", "keep:\n  - PATH\n  - ¦")).toEqual(["CC", "HOME", "OLD", "TOKEN"]);
    expect(complete("devshell.yaml", "unset:\n  ¦").take("OLD")).toBe("unset:\n  - OLD");
    const details = complete("devshell.yaml", "env:\n  ¦").items.map(({ detail }) => detail);
    expect(details).toContain("gcc");
    expect(details.join()).not.toContain("hunter2");
  });
});

describe("packages", () => {
  it("are asked for by the word before the cursor", () => {
    expect(complete("devshell.yaml", "packages: [gc¦c]\n").query).toEqual({ kind: "names", prefix: "gc" });
    expect(complete("devshell.yaml", "inputsFrom:\n  - ¦").query).toEqual({ kind: "names", prefix: "" });
    expect(complete("devshell.toml", 'packages = ["gcc-11@1¦"]').query).toEqual({
      kind: "versions",
      name: "gcc-11",
    });
    expect(complete("devshell.yaml", "keep:\n  - g¦").query).toBeUndefined();
  });

  it("come as names, then as versions, in the quotes that are there", () => {
    expect(complete("devshell.yaml", "packages:\n  - gc¦\n").take("gcc-11")).toBe("packages:\n  - gcc-11\n");
    expect(complete("devshell.yaml", "packages:\n  gc¦\n").take("gcc")).toBe("packages:\n  - gcc\n");
    expect(complete("devshell.json", '{ "packages": ["gc¦"] }').take("gcc")).toBe('{ "packages": ["gcc"] }');
    expect(complete("devshell.yaml", "packages: [gcc-11@¦]").take("gcc-11@1:11.2")).toBe(
      "packages: [gcc-11@1:11.2]",
    );
    expect(complete("devshell.toml", "packages = [gcc-11@¦]").take("gcc-11@1:11.2")).toBe(
      'packages = ["gcc-11@1:11.2"]',
    );
  });

  it("that are there are not offered again", () => {
    expect(labels("devshell.yaml", "packages:\n  - gcc@12\n  - ¦\n")).toEqual(["gcc-11"]);
  });
});

describe("the index of packages", () => {
  const report = (names: readonly string[], isTruncated: boolean): PackagesReport => ({
    protocol: 1,
    collection: "debian",
    packages: names.map((name) => ({ name, versions: [] })),
    isTruncated,
  });
  const signal = new AbortController().signal;

  it("is of the document's collection, not of the saved spec's", () => {
    const file = specFileOf("/p/devshell.yaml", "yaml");
    if (file === undefined) throw new Error("no spec");
    const asked = (text: string): string => packagesArguments(parseSpecDocument(text, file), "g").join(" ");
    expect(asked("collection: ./a b.nix\n")).toBe("packages --json --collection=./a b.nix -- g");
    expect(asked("packages: [g]\n")).toBe("packages --json --collection=debian -- g");
    expect(asked("")).toBe("packages --json --collection=debian -- g");
    for (const text of ["packages: [g\n", "collection: 1\n", 'collection: ""\n'])
      expect(asked(text)).toBe("packages --json -- g");
  });

  it("asks once, and knows the longer beginnings of a whole answer", async () => {
    const asked: string[] = [];
    const index = new PackageIndex((prefix) => {
      asked.push(prefix);
      return Promise.resolve(report(["gcc", "gcc-11", "gdb"], prefix === ""));
    });
    await Promise.all([index.find("g", signal), index.find("g", signal)]);
    expect((await index.find("gcc", signal))?.packages.map(({ name }) => name)).toEqual(["gcc", "gcc-11"]);
    expect(await index.get("gxx", signal)).toBeNull();
    expect(asked).toEqual(["g"]);
    await index.find("", signal);
    await index.find("m", signal);
    expect(asked).toEqual(["g", "", "m"]);
    expect(await index.suggest("gccc", signal)).toEqual(["gcc"]);
  });

  it("knows what may be meant by an item that there is not", async () => {
    const index = new PackageIndex((prefix) =>
      Promise.resolve({
        ...report([], false),
        packages: [{ name: "hello", versions: ["2.10-3", "2.9"] }].filter(({ name }) =>
          name.startsWith(prefix),
        ),
      }),
    );
    expect(await index.suggest("hello@9", signal)).toEqual(["hello@2.10-3", "hello@2.9", "hello"]);
    expect(await index.suggest("helo", signal)).toEqual(["hello"]);
    expect(await index.suggest("helo@2.9", signal)).toEqual(["hello@2.9"]);
    expect(await index.suggest("zzz", signal)).toEqual([]);
  });

  it("forgets what it was told too long ago, and what failed", async () => {
    let nowMs = 0;
    let asked = 0;
    const index = new PackageIndex(
      () => Promise.resolve(++asked === 2 ? undefined : report(["gcc"], false)),
      () => nowMs,
    );
    await index.find("g", signal);
    nowMs = 11 * 60 * 1000;
    expect(await index.find("g", signal)).toBeUndefined();
    expect(await index.find("g", signal)).toBeDefined();
    expect(asked).toBe(3);
  });

  it("gives a question up once nobody waits for it, and no sooner", async () => {
    const signals: AbortSignal[] = [];
    const index = new PackageIndex(
      (_, own) =>
        new Promise((_resolve, reject) => {
          signals.push(own);
          own.addEventListener("abort", () => reject(new Error("given up")));
        }),
    );
    const first = new AbortController();
    const second = new AbortController();
    const answers = [index.find("g", first.signal), index.find("g", second.signal)].map((answer) =>
      answer.catch((error: unknown) => error),
    );
    first.abort();
    await answers[0];
    expect(signals[0]?.aborted).toBe(false);
    second.abort();
    await answers[1];
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    void index.find("g", signal).catch(() => undefined);
    expect(signals.length).toBe(2);
  });
});
