// Watching what an environment was made of, with real files.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputWatchers } from "../../vscode-extension/src/environment/inputWatchers.ts";

let directory: string;
let watchers: InputWatchers;
let changes: string[][];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devshell-watch-"));
  watchers = new InputWatchers({ debounceMs: 50 });
  changes = [];
});

afterEach(() => {
  watchers.dispose();
  rmSync(directory, { recursive: true });
});

const at = (...names: string[]): string => join(directory, ...names);
const watch = (paths: readonly string[], sinceMs?: number) =>
  watchers.watch(paths, (changed) => changes.push([...changed]), sinceMs);
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

/** After the action each of the paths was named, in one call. */
async function expectChange(action: () => void, ...paths: string[]): Promise<void> {
  changes.length = 0;
  action();
  await expect.poll(() => changes.length, { timeout: 5_000 }).toBeGreaterThan(0);
  await quiet();
  expect(changes).toEqual([paths]);
}

async function expectQuiet(action: () => void): Promise<void> {
  changes.length = 0;
  action();
  await quiet();
  expect(changes).toEqual([]);
}

describe("a file", () => {
  test("written, replaced by a rename, removed, made again", async () => {
    writeFileSync(at("spec"), "1");
    watch([at("spec")]);
    await expectChange(() => writeFileSync(at("spec"), "22"), at("spec"));
    await expectChange(() => {
      writeFileSync(at("spec~"), "333");
      renameSync(at("spec~"), at("spec"));
    }, at("spec"));
    await expectChange(() => rmSync(at("spec")), at("spec"));
    await expectChange(() => writeFileSync(at("spec"), "4"), at("spec"));
    await expectChange(() => writeFileSync(at("spec"), "55"), at("spec"));
  });

  test("its neighbours do not count", async () => {
    writeFileSync(at("spec"), "1");
    watch([at("spec")]);
    await expectQuiet(() => {
      writeFileSync(at("other"), "1");
      readFileSync(at("spec"));
    });
  });

  test("many writes are one change", async () => {
    watch([at("spec")]);
    await expectChange(() => {
      for (let index = 0; index < 100; index++) writeFileSync(at("spec"), "x".repeat(index));
    }, at("spec"));
  });

  test("is told of though its neighbours change all the time", async () => {
    writeFileSync(at("spec"), "1");
    watch([at("spec")]);
    const noise = setInterval(() => writeFileSync(at("log"), `${performance.now()}`), 10);
    try {
      writeFileSync(at("spec"), "22");
      await expect.poll(() => changes, { timeout: 3_000 }).toEqual([[at("spec")]]);
    } finally {
      clearInterval(noise);
    }
  });

  test("nobody is told any more, and nothing watched, once the watchers are disposed of", async () => {
    watch([at("spec"), at("deep", "file")]);
    writeFileSync(at("spec"), "1");
    mkdirSync(at("deep"));
    // The events are there, the look is still to come.
    await new Promise((resolve) => setTimeout(resolve, 10));
    watchers.dispose();
    await quiet();
    expect(changes).toEqual([]);
    expect(watchers.size).toBe(0);
  });

  test("that is there for a moment only", async () => {
    watch([at("spec")]);
    await expectQuiet(() => {
      writeFileSync(at("spec"), "1");
      rmSync(at("spec"));
    });
  });

  test("not there, nor its directories", async () => {
    watch([at("a", "b", "spec")]);
    await expectQuiet(() => mkdirSync(at("a")));
    await expectQuiet(() => mkdirSync(at("a", "b")));
    await expectChange(() => writeFileSync(at("a", "b", "spec"), "1"), at("a", "b", "spec"));
    await expectChange(() => rmSync(at("a"), { recursive: true }), at("a", "b", "spec"));
    await expectChange(
      () => {
        mkdirSync(at("a", "b"), { recursive: true });
        writeFileSync(at("a", "b", "spec"), "1");
      },
      at("a", "b", "spec"),
    );
  });

  test("whose directory is replaced by another", async () => {
    mkdirSync(at("now"));
    mkdirSync(at("next"));
    writeFileSync(at("now", "spec"), "1");
    writeFileSync(at("next", "spec"), "22");
    watch([at("now", "spec")]);
    await expectChange(
      () => {
        renameSync(at("now"), at("past"));
        renameSync(at("next"), at("now"));
      },
      at("now", "spec"),
    );
    await expectChange(() => writeFileSync(at("now", "spec"), "333"), at("now", "spec"));
    await expectQuiet(() => writeFileSync(at("past", "spec"), "4444"));
  });

  test("behind a link: the target and the link", async () => {
    mkdirSync(at("far"));
    writeFileSync(at("far", "target"), "1");
    symlinkSync(at("far", "target"), at("spec"));
    watch([at("spec")]);
    await expectChange(() => writeFileSync(at("far", "target"), "22"), at("spec"));
    await expectChange(() => {
      writeFileSync(at("else"), "333");
      symlinkSync(at("else"), at("new"));
      renameSync(at("new"), at("spec"));
    }, at("spec"));
    await expectChange(() => writeFileSync(at("else"), "4444"), at("spec"));
  });
});

describe("a directory", () => {
  test("its names count, not what its files hold", async () => {
    mkdirSync(at("src"));
    writeFileSync(at("src", "a"), "1");
    watch([at("src")]);
    await expectQuiet(() => writeFileSync(at("src", "a"), "22"));
    await expectChange(() => writeFileSync(at("src", "b"), ""), at("src"));
    await expectChange(() => renameSync(at("src", "b"), at("src", "c")), at("src"));
    await expectQuiet(() => {
      writeFileSync(at("src", ".c.swp"), "");
      rmSync(at("src", ".c.swp"));
    });
    await expectChange(() => rmSync(at("src"), { recursive: true }), at("src"));
    await expectChange(() => mkdirSync(at("src")), at("src"));
  });
});

describe("many", () => {
  test("share the directories, and give them back", async () => {
    const all = Array.from({ length: 100 }, (_, index) => watch([at("spec"), at(`spec${index}`)]));
    expect(watchers.size).toBe(1);
    writeFileSync(at("spec"), "1");
    await expect.poll(() => changes.length, { timeout: 5_000 }).toBe(100);
    for (const watching of all) watching.dispose();
    expect(watchers.size).toBe(0);
    await expectQuiet(() => writeFileSync(at("spec"), "22"));
  });

  test("what changed while it was read, before anybody watched", async () => {
    writeFileSync(at("spec"), "1");
    writeFileSync(at("old"), "1");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const sinceMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 20));
    writeFileSync(at("spec"), "2");
    // As an unpacked archive does.
    utimesSync(at("spec"), 1, 1);
    watch([at("spec"), at("old")], sinceMs);
    await expect.poll(() => changes, { timeout: 5_000 }).toEqual([[at("spec")]]);
  });
});
