import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TreeDisplay } from "../../env/host/treeDisplay.ts";

let root: string;
const TREE = "/store/abc-source";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-display-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("a fetched tree in messages", () => {
  it("is what the user knows it by", () => {
    const display = new TreeDisplay("/store");
    display.add(TREE, { shown: root, isWorkTree: true });
    expect(display.show(`${TREE}/a/flake.nix`)).toBe(`${root}/a/flake.nix`);
    expect(display.show(TREE)).toBe(root);
    expect(display.show("/store/abc-source-2/flake.nix")).toBeUndefined();
    expect(display.show("/elsewhere/flake.nix")).toBeUndefined();
  });

  it("lacks what Git does not track, and says how to add it", () => {
    const display = new TreeDisplay("/store");
    display.add(TREE, { shown: root, isWorkTree: true });
    expect(display.explainMissing(`${TREE}/file`)).toBe(
      `Path 'file' does not exist in Git repository "${root}".`,
    );
    writeFileSync(join(root, "file"), "");
    expect(display.explainMissing(`${TREE}/file`)).toBe(
      `Path 'file' in the repository "${root}" is not tracked by Git.\n\nTo make it visible to Nix, run:\n\ngit -C "${root}" add -N "file"`,
    );
  });

  it("of a commit lacks what the commit lacks", () => {
    const display = new TreeDisplay("/store");
    display.add(TREE, { shown: "«git+file:///r?rev=1»", isWorkTree: false });
    expect(display.explainMissing(`${TREE}/file`)).toBe("'«git+file:///r?rev=1»/file' does not exist");
    expect(display.explainMissing("/store/other/file")).toBeUndefined();
  });
});
