import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canonicalise } from "../../../store/local/files.ts";
import { TestDirectory } from "../testStore.ts";

const BUILDER = 872_415_232;
const isRoot = process.geteuid?.() === 0;

describe("what a builder that is another user wrote", () => {
  it("must be that user's, not ours", () => {
    using directory = new TestDirectory();
    const file = join(directory.path, "secret");
    writeFileSync(file, "secret", { mode: 0o600 });
    expect(() => canonicalise(file, { builderUid: BUILDER })).toThrow("belongs to user");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it.runIf(isRoot)("may not hold a link to a file of ours, which all could read then", () => {
    using directory = new TestDirectory();
    const secret = join(directory.path, "shadow");
    writeFileSync(secret, "secret");
    chmodSync(secret, 0o600);
    const output = join(directory.path, "out");
    mkdirSync(output);
    linkSync(secret, join(output, "foo"));
    chownSync(output, BUILDER, BUILDER);
    expect(() => canonicalise(output, { builderUid: BUILDER })).toThrow("it belongs to user 0");
    expect(statSync(secret).mode & 0o777).toBe(0o600);
  });

  it.runIf(isRoot)("may have hard links of its own, within an output and between outputs", () => {
    using directory = new TestDirectory();
    const outputs = ["out", "dev"].map((name) => join(directory.path, name));
    const takenOver = new Set<string>();
    const [out = "", dev = ""] = outputs;
    for (const output of outputs) mkdirSync(output);
    writeFileSync(join(out, "a"), "content");
    linkSync(join(out, "a"), join(out, "b"));
    linkSync(join(out, "a"), join(dev, "c"));
    for (const path of [out, dev, join(out, "a")]) chownSync(path, BUILDER, BUILDER);
    for (const output of outputs) canonicalise(output, { builderUid: BUILDER, takenOver });
    expect(lstatSync(join(dev, "c"))).toMatchObject({ uid: 0, mode: 0o100_444 });
  });

  it("is closed to others before what is in it is looked at", () => {
    using directory = new TestDirectory();
    const output = join(directory.path, "out");
    mkdirSync(join(output, "open"), { recursive: true });
    chmodSync(join(output, "open"), 0o777);
    execFileSync("mkfifo", [join(output, "open/pipe")]);
    expect(() => canonicalise(output)).toThrow(`file "${join(output, "open/pipe")}" has an unsupported type`);
    expect(statSync(join(output, "open")).mode & 0o777).toBe(0o755);
  });
});
