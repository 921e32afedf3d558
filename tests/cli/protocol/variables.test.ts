import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyReport, describeVariables } from "../../../cli/protocol/describeVariables.ts";
import { withHookChanges } from "../../../cli/protocol/hookVariables.ts";
import { applyEnvironment } from "../../../env/render/renderShell.ts";
import type { BuildEnvironment, CapturedVariable } from "../../../env/types.ts";
import { fakeEnvironment } from "../../shell/fakeRecord.ts";

const NAMES = [
  "PATH",
  "MANPATH",
  "XDG_DATA_DIRS",
  "A",
  "_b",
  "TMPDIR",
  "NIX_BUILD_TOP",
  "HOME",
  "odd name",
  "é",
  "A-B",
];
const name = fc.constantFrom(...NAMES);
const names = fc.uniqueArray(name);
/** Byte strings: every byte but NUL. */
const bytes = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 12,
});
const value = fc.oneof(bytes, fc.constantFrom("", "a\nb", "\xff\xfe", "x".repeat(120_000)));
const captured: fc.Arbitrary<CapturedVariable> = fc.oneof(
  value.map((text): CapturedVariable => ({ kind: "exported", value: text })),
  value.map((text): CapturedVariable => ({ kind: "var", value: text })),
  fc.array(bytes, { maxLength: 2 }).map((list): CapturedVariable => ({ kind: "array", value: list })),
);
const environments: fc.Arbitrary<BuildEnvironment> = fc
  .record({
    variables: fc.array(fc.tuple(name, captured)).map((entries) => new Map(entries)),
    appended: names,
    unset: names,
    keep: names,
    isPure: fc.boolean(),
  })
  .map((overrides) => fakeEnvironment("/p", {}, overrides));
const callers: fc.Arbitrary<NodeJS.ProcessEnv> = fc.dictionary(
  name,
  fc.constantFrom("", "/own", "a:b", "ü\n"),
);

function reportOf(environment: BuildEnvironment, caller: NodeJS.ProcessEnv, scriptsDir?: string) {
  const { isPure, keep } = environment;
  return { isPure, keep, variables: describeVariables(environment, caller, { scriptsDir }) };
}

describe("the variables of a report", () => {
  it("make of any caller's environment what entering makes of it, byte for byte", () => {
    fc.assert(
      fc.property(
        environments,
        callers,
        fc.constantFrom(undefined, "/s"),
        (environment, caller, scriptsDir) => {
          const report = JSON.parse(JSON.stringify(reportOf(environment, caller, scriptsDir))) as ReturnType<
            typeof reportOf
          >;
          expect(applyReport(report, caller)).toEqual(applyEnvironment(environment, caller, { scriptsDir }));
          const order = report.variables.map((variable) => variable.name);
          expect(order).toEqual([...new Set(order)].sort());
        },
      ),
      { numRuns: 300 },
    );
  });

  it("are all there where there are 10,000", () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`V${n}`, String(n)]));
    const { variables } = reportOf(fakeEnvironment("/p", many), {});
    expect(variables.length).toBe(10_001);
  });

  it("know secrets by name and by looks, and unset ones by name", () => {
    const environment = fakeEnvironment(
      "/p",
      { API_KEY: "x", LOOKS: "ghp_abc", PLAIN: "1" },
      { unset: ["DB_PASSWORD"] },
    );
    const secrets = reportOf(environment, {}).variables.filter(({ isSecret }) => isSecret);
    expect(secrets.map((variable) => variable.name)).toEqual(["API_KEY", "DB_PASSWORD", "LOOKS"]);
  });
});

describe("what a shell hook changes", () => {
  const base = fakeEnvironment("/p", { PATH: "/env", SET: "1", KEEP: "2" });
  const caller = { PATH: "/own", LIBS: "/l", FLAGS: "-x" };
  const before = new Map([["PATH", "/env:/own"], ["SET", "1"], ["KEEP", "2"], ["LIBS", "/l"], ["FLAGS", "-x"], ["SHLVL", "1"]]); // prettier-ignore
  const hooked = (after: ReadonlyMap<string, string>, own: NodeJS.ProcessEnv = caller) =>
    withHookChanges(describeVariables(base, own), { before, after }, own, false).filter(
      ({ origin }) => origin.by === "shellHook",
    );

  it("comes before the caller's own where it did so, and is set or unset elsewhere", () => {
    const after = new Map([["PATH", "/p/bin:/env:/own"], ["KEEP", "2"], ["LIBS", "/p/lib:/l"], ["FLAGS", "-y -x"], ["NEW", "n"], ["SHLVL", "2"], ["_", "x"]]); // prettier-ignore
    const facts = { isSecret: false, origin: { by: "shellHook" } };
    expect(hooked(after)).toEqual([
      { ...facts, name: "FLAGS", action: "prepend", value: "-y", separator: " " },
      { ...facts, name: "LIBS", action: "prepend", value: "/p/lib", separator: ":" },
      { ...facts, name: "NEW", action: "set", value: "n" },
      { ...facts, name: "PATH", action: "prepend", value: "/p/bin:/env", separator: ":" },
      { ...facts, name: "SET", action: "unset" },
    ]);
  });

  it("gives its own caller the hook's very values", () => {
    const after = new Map([["PATH", "/env:/own:/p/bin"], ["KEEP", "a\xff\n"], ["LIBS", "/l"], ["FLAGS", ""]]); // prettier-ignore
    const variables = withHookChanges(describeVariables(base, caller), { before, after }, caller, false);
    const applied = applyReport({ isPure: false, keep: [], variables }, caller);
    for (const [variable, text] of after) expect(applied.get(variable)).toBe(text);
  });

  it("still comes before a PATH that this caller has not", () => {
    const own = {};
    const after = new Map([...before, ["PATH", "/p/bin:/env"]]);
    const changes = withHookChanges(
      describeVariables(base, own),
      { before: new Map([...before, ["PATH", "/env"]]), after },
      own,
      false,
    );
    expect(changes.find((variable) => variable.name === "PATH")).toMatchObject({
      action: "prepend",
      value: "/p/bin:/env",
    });
  });
});
