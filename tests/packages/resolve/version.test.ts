import { describe, expect, it } from "vitest";
import {
  compareVersions,
  isVersionSatisfying,
  upstreamVersion,
  withoutEpoch,
} from "../../../packages/debian/resolve/version.ts";

/** Pairs as `dpkg --compare-versions` orders them. */
const ORDERED: readonly (readonly [string, "<" | "=" | ">", string])[] = [
  ["1.0", "<", "1.1"],
  ["1.2", "<", "1.10"],
  ["1.0-1", "<", "1.0-2"],
  ["1.0", "=", "1.0-0"],
  ["1.0~rc1", "<", "1.0"],
  ["1.0~~", "<", "1.0~"],
  ["1.0~", "<", "1.0-1"],
  ["1.0", "<", "1.0a"],
  ["1.0a", "<", "1.0+"],
  ["1.0+b1", ">", "1.0"],
  ["2.36-9+deb12u10", ">", "2.36-9+deb12u9"],
  ["1:0.1", ">", "9.9"],
  ["0:1.0", "=", "1.0"],
  ["1.01", "=", "1.1"],
  ["1.0-1~bpo12+1", "<", "1.0-1"],
  ["2.0.0-rc1-1", ">", "2.0.0-1"],
  ["00000001", "=", "1"],
  ["99999999999999999999", "<", "100000000000000000000"],
  ["a", ">", "1"],
  ["1.a", ">", "1.1"],
  ["", "<", "0a"],
];

describe("compareVersions", () => {
  it.each(ORDERED)("%s %s %s", (a, sign, b) => {
    const expected = { "<": -1, "=": 0, ">": 1 }[sign];
    expect(Math.sign(compareVersions(a, b))).toBe(expected);
    expect(Math.sign(compareVersions(b, a))).toBe(0 - expected);
  });
});

it("compares by each operator", () => {
  expect(isVersionSatisfying("1.0", "<<", "1.0")).toBe(false);
  expect(isVersionSatisfying("1.0", "<=", "1.0")).toBe(true);
  expect(isVersionSatisfying("1.0", "=", "1.0-0")).toBe(true);
  expect(isVersionSatisfying("1.0", ">=", "1.0~rc1")).toBe(true);
  expect(isVersionSatisfying("1.0", ">>", "1.0~rc1")).toBe(true);
});

it("takes versions apart", () => {
  expect(upstreamVersion("2:1.5-rc-3")).toBe("1.5-rc");
  expect(upstreamVersion("0.154")).toBe("0.154");
  expect(withoutEpoch("4:12.2.0-3")).toBe("12.2.0-3");
});
