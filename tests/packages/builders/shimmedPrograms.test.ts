import { describe, expect, it } from "vitest";
import { isShimmedProgram, needsShim } from "../../../packages/debian/builders/shim/shimmedPrograms.ts";

describe("shimmed programs", () => {
  it.each([
    ["perl-base", "/usr/bin/perl"],
    ["git", "/usr/lib/git-core/git-upload-pack"],
    ["nodejs", "/usr/bin/node"],
    ["gpg-agent", "/usr/bin/gpg-agent"],
    ["groff-base", "/usr/bin/troff"],
    ["file", "/usr/bin/file"],
    ["gettext", "/usr/bin/xgettext"],
    ["ruby3.1", "/usr/bin/ruby3.1"],
    ["tk8.6", "/usr/bin/wish8.6"],
    ["xvfb", "/usr/bin/Xvfb"],
    ["xterm", "/usr/bin/xterm"],
  ])("%s brings %s, which needs the shim", (name, program) => {
    expect(needsShim(name)).toBe(true);
    expect(isShimmedProgram(program)).toBe(true);
  });

  it.each([
    ["coreutils", "/usr/bin/cp"],
    ["tar", "/usr/bin/tar"],
    ["bash", "/usr/bin/bash"],
    ["gcc-12", "/usr/bin/gcc"],
  ])("%s and its %s see the machine's own /usr", (name, program) => {
    expect(needsShim(name)).toBe(false);
    expect(isShimmedProgram(program)).toBe(false);
  });
});
