import { describe, expect, it } from "vitest";
import { mergeUsr, pathOfEntry, relocateLink } from "../../../packages/debian/builders/archive/treePath.ts";

describe("mergeUsr", () => {
  it.each([
    ["/bin/sh", "/usr/bin/sh"],
    ["/lib64/ld-linux-x86-64.so.2", "/usr/lib64/ld-linux-x86-64.so.2"],
    ["/lib", "/usr/lib"],
    ["/usr/bin/env", "/usr/bin/env"],
    ["/library/x", "/library/x"],
    ["/etc/bin", "/etc/bin"],
  ])("puts %s at %s", (path, merged) => {
    expect(mergeUsr(path)).toBe(merged);
  });
});

describe("pathOfEntry", () => {
  it("normalises names", () => {
    expect(pathOfEntry("./usr//share/./x/")).toBe("/usr/share/x");
    expect(pathOfEntry("./")).toBe("/");
    expect(pathOfEntry("/usr/x")).toBe("/usr/x");
  });
  it.each(["../x", "./usr/../../x", "", "a\0b", `./${"n".repeat(256)}`])("refuses %j", (name) => {
    expect(() => pathOfEntry(name)).toThrow(/Cannot unpack/);
  });
});

describe("relocateLink", () => {
  it.each([
    // Where the link stood before /usr was merged decides what it meant.
    ["/lib/x86_64-linux-gnu/libz.so", "libz.so.1", "libz.so.1"],
    ["/usr/lib/x86_64-linux-gnu/libz.so", "/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1"],
    ["/lib/systemd/x", "../../usr/share/y", "../../share/y"],
    ["/usr/bin/awk", "/etc/alternatives/awk", "../../etc/alternatives/awk"],
    ["/etc/mtab", "/proc/mounts", "/proc/mounts"],
    ["/usr/lib/systemd/system/x.service", "/dev/null", "/dev/null"],
    ["/usr/lib/out", "../../../../../etc/passwd", "../../etc/passwd"],
  ])("%s → %s becomes %s", (place, target, expected) => {
    expect(relocateLink(place, target)).toBe(expected);
  });
  it("leaves out base-files' own links of the merged /usr", () => {
    expect(relocateLink("/bin", "usr/bin")).toBeUndefined();
    expect(relocateLink("/lib64", "usr/lib64")).toBeUndefined();
  });
});
