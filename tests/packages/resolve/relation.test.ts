import { describe, expect, it } from "vitest";
import {
  formatRelationGroup,
  parseRelations,
  type RelationContext,
} from "../../../packages/debian/resolve/relation.ts";

const AMD64: RelationContext = { architecture: "amd64", profiles: new Set() };
const show = (field: string, context = AMD64): string[] =>
  parseRelations(field, context).map(formatRelationGroup);

describe("parseRelations", () => {
  it("reads alternatives, versions and qualifiers", () => {
    expect(show("a, b (>= 1:2.0~rc1-1) | c:any (<< 3), d:native")).toEqual([
      "a",
      "b (>= 1:2.0~rc1-1) | c:any (<< 3)",
      "d:native",
    ]);
  });

  it("reads folded fields, missing blanks, trailing commas and old operators", () => {
    expect(show("a(>=1),\n b ,, c (< 2), d (> 3),")).toEqual(["a (>= 1)", "b", "c (<= 2)", "d (>= 3)"]);
  });

  it.each([
    ["a [amd64]", ["a"]],
    ["a [i386 arm64]", []],
    ["a [!amd64]", []],
    ["a [!i386 !arm64]", ["a"]],
    ["a [linux-any]", ["a"]],
    ["a [any-amd64]", ["a"]],
    ["a [hurd-any kfreebsd-any]", []],
    ["a [gnu-any-any]", ["a"]],
    ["a [musl-linux-any]", []],
    ["a [i386] | b", ["b"]],
  ])("keeps what the architecture has: %s", (field, expected) => {
    expect(show(field)).toEqual(expected);
  });

  it.each([
    ["a <!nocheck>", [], ["a"]],
    ["a <!nocheck>", ["nocheck"], []],
    ["a <stage1>", [], []],
    ["a <!nocheck> <stage1>", ["nocheck", "stage1"], ["a"]],
    ["a <!nocheck !nodoc>", ["nodoc"], []],
    ["a (>= 1) [amd64] <!nodoc>", [], ["a (>= 1)"]],
  ])("keeps what the build profiles ask for: %s with %j", (field, profiles, expected) => {
    expect(show(field, { architecture: "amd64", profiles: new Set(profiles) })).toEqual(expected);
  });

  it.each(["a (>= )", "a (1.0)", "a b", "${misc:Depends}", "a (>= 1) junk", "a <!x", "-a", "|", "a:b:c"])(
    "refuses %j",
    (field) => {
      expect(() => parseRelations(field, AMD64)).toThrow(
        expect.objectContaining({ code: "DEBIAN_RELATION_INVALID" }),
      );
    },
  );

  it("takes no quadratic time on hostile fields", () => {
    const start = performance.now();
    for (const field of [
      `a ${"<x> ".repeat(50_000)}!`,
      `a ${"(".repeat(100_000)}`,
      `a [${" ".repeat(100_000)}`,
    ])
      expect(() => parseRelations(field, AMD64)).toThrow();
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
