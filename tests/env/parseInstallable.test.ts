import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseInstallable, parseReference } from "../../env/index.ts";
import { showReference } from "../../lang/index.ts";

let root: string;

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-test-installable-")));
  for (const directory of ["repo/.git", "repo/sub/deep", "plain/in ner", "empty"])
    mkdirSync(join(root, directory), { recursive: true });
  for (const file of ["repo/sub/flake.nix", "plain/flake.nix", "plain/in ner/flake.nix"])
    writeFileSync(join(root, file), "{ outputs = _: { }; }");
  symlinkSync("plain", join(root, "link"));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function parse(text: string, directory = root): string {
  const notices: string[] = [];
  const options = { directory, notice: (line: string): unknown => notices.push(line) };
  const { reference, fragment, outputs } = parseInstallable(text, options);
  const shown = showReference(reference).replaceAll(root, "@");
  const rest = [fragment === "" ? "" : `#${fragment}`, outputs === undefined ? "" : `^${String(outputs)}`];
  return [shown + rest.join(""), ...notices.map((line) => line.replaceAll(root, "@"))].join("\n");
}

describe("a flake on the command line", () => {
  it.each([
    ["nixpkgs", "flake:nixpkgs"],
    ["nixpkgs/unstable#hello.meta^out,dev", "flake:nixpkgs/unstable#hello.meta^out,dev"],
    ["nixpkgs#a%20b^*", "flake:nixpkgs#a b^*"],
    ["github:owner/repo/branch?dir=x#a", "github:owner/repo/branch?dir=x#a"],
    ["plain/in ner", "path:@/plain/in%20ner"],
    ["./link#x", "path:@/plain#x"],
    ["path:./plain?dir=a", "path:@/plain?dir=a"],
    ["git+file:./repo?dir=sub", "git+file://@/repo?dir=sub"],
    ["./repo/sub?ref=main", "git+file://@/repo?dir=sub&ref=main"],
    [
      "./repo/sub/deep",
      "git+file://@/repo?dir=sub\npath \"@/repo/sub/deep\" does not contain a 'flake.nix', searching up",
    ],
    [
      "./plain/flake.nix",
      'path:@/plain\nwarning: Path "@/plain/flake.nix" should point at the directory containing the \'flake.nix\' file, not the file itself. Pretending that you meant "@/plain"',
    ],
    [
      "git+file:///x?bar",
      "git+file:///x\nwarning: dubious URI query 'bar' is missing equal sign '=', ignoring",
    ],
  ])("%s", (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it("is the one around the working directory", () => {
    expect(parse(".", join(root, "repo/sub"))).toBe("git+file://@/repo?dir=sub");
    expect(parse("#x", join(root, "plain"))).toBe("path:@/plain#x");
  });

  it.each([
    ["./missing", /path ".*missing" does not exist/],
    [
      "./repo",
      /is not part of a flake \(neither it nor its parent directories contain a 'flake\.nix' file\)/,
    ],
    ["./repo/sub?dir=other", /has an inconsistent 'dir' parameter/],
    ["nixpkgs#a^b c", /invalid extended outputs specifier/],
    ["unknown://x", /unsupported/],
    ["plain/a/b", /'b' is not a commit hash/],
  ])("refuses %s", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it("names nothing inside where a whole flake is meant", () => {
    expect(() => parseReference("nixpkgs#a", { directory: root })).toThrow(
      "unexpected fragment 'a' in flake reference 'nixpkgs#a'",
    );
  });
});
