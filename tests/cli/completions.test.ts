import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { placeOf } from "../../cli/compat/nix/completion/words.ts";
import { TestCommands } from "./testCommands.ts";

// What shells ask for while the user types; what is expected is what Nix 2.34 answers.

let commands: TestCommands;

beforeAll(() => {
  commands = new TestCommands({ NIX_CONFIG: "flake-registry =\nsystem = x86_64-linux\n" });
  const { root } = commands;
  for (const name of ["dep", "foo", "bar", "err"]) mkdirSync(join(root, name));
  const input = `url = "path:${root}/dep";`;
  writeFileSync(join(root, "dep/flake.nix"), "{ outputs = _: { }; }");
  writeFileSync(
    join(root, "foo/flake.nix"),
    `{ inputs.a.${input} outputs = _: { sample = 1; packages.x86_64-linux.same = 2; "od d" = 3; }; }`,
  );
  writeFileSync(join(root, "bar/flake.nix"), `{ inputs.b.${input} outputs = _: { }; }`);
  writeFileSync(join(root, "err/flake.nix"), 'throw "error"');
});

afterAll(() => commands[Symbol.dispose]());

/** @param line the word to be completed ends with `|` */
function complete(line: string, env: Readonly<Record<string, string>> = {}): string[] {
  const words = line.split(" ").map((word) => (word === "''" ? "" : word));
  const at = words.findIndex((word) => word.endsWith("|"));
  words[at] = words[at]!.slice(0, -1);
  const { out, err } = commands.run("nix", words, {
    env: { ...env, NIX_GET_COMPLETIONS: String(at + 1) },
  });
  expect(err).toBe("");
  return out.split("\n").slice(0, -1);
}

describe("completions of nix", { timeout: 120_000 }, () => {
  it("are subcommands, flags and settings", () => {
    expect(complete("buil|")).toEqual(["normal", "build\t"]);
    expect(complete("flake metad|")).toEqual(["normal", "metadata\t"]);
    expect(complete("build --log-form|")).toEqual(["normal", "--log-format\t"]);
    expect(complete("build --option allow-import-from|")).toEqual([
      "normal",
      "allow-import-from-derivation\t",
    ]);
  });

  it("are directories where a flake may stand", () => {
    expect(complete("build ./f|")).toEqual(["filenames", "./foo\t"]);
    expect(complete("build ./nonexistent|")).toEqual(["filenames"]);
    expect(complete("eval --file ./foo/fl|")).toEqual(["filenames", "./foo/flake.nix\t"]);
  });

  it("are the inputs of the flakes that are named, before or after", () => {
    expect(complete("build ./foo --override-input |")).toEqual(["normal", "a\t"]);
    expect(complete("build ./foo ./bar --override-input |")).toEqual(["normal", "a\t", "b\t"]);
    expect(complete("build --override-input | '' ./foo")).toEqual(["normal", "a\t"]);
    expect(complete("build --override-input '' | ./foo")).toEqual(expect.arrayContaining(["filenames"]));
    expect(complete("flake show ./foo --override-input |")).toEqual(["normal", "a\t"]);
    expect(complete("flake update --flake ./foo |")).toEqual(["normal", "a\t"]);
    expect(complete("flake update --flake ~/foo |")).toEqual(["normal", "a\t"]);
  });

  it("are attributes of flakes and files", () => {
    expect(complete("eval ./foo#sam|")).toEqual(["attrs", "./foo#same\t", "./foo#sample\t"]);
    expect(complete("eval ./foo#o|")).toEqual(["attrs", './foo#"od d"\t']);
    expect(complete("eval --file ./foo/flake.nix outp|")).toEqual(["attrs", "outputs\t"]);
    expect(complete("eval --expr {a.b=1;a.c=2;} a.|")).toEqual(["attrs", "a.b\t", "a.c\t"]);
    expect(complete("eval --file ./err/flake.nix outp|")).toEqual(["attrs"]);
    expect(complete("eval ./err#|")).toEqual(["attrs"]);
  });

  it("know which word a flag's value is", () => {
    const kindOf = (...words: readonly string[]): string =>
      placeOf(words, words.length - 1, ["build"], (flag) => flag === "--cores").kind;
    expect(kindOf("build", "--cores", "")).toBe("none");
    expect(kindOf("build", "--cores", "1", "")).toBe("installable");
    expect(kindOf("--cores", "1", "")).toBe("command");
    expect(kindOf("build", "--override-input", "a", "")).toBe("flake");
    expect(kindOf("hash", "file", "")).toBe("file");
  });
});
