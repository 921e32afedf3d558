import { describe, expect, it } from "vitest";
import type { VariableReport } from "../../cli/protocol/types.ts";
import type { FolderState } from "../../vscode-extension/src/model.ts";
import { closureOf } from "../../vscode-extension/src/cli/loadClosure.ts";
import {
  makeChanges,
  makeClosure,
  makeViewModel,
  type ViewInput,
} from "../../vscode-extension/src/view/viewModel.ts";
import { parseRequest } from "../../vscode-extension/src/view/viewRequest.ts";
import { makeViewStrings } from "../../vscode-extension/src/view/viewStrings.ts";
import { beginning, MASK, SHOWN_LENGTH } from "../../vscode-extension/src/view/viewValues.ts";
import {
  linkedClosure,
  manyVariables,
  sampleClosure,
  sampleReport,
  sampleVariables,
  SECRET,
} from "../editor/viewSamples.ts";

const STRINGS = makeViewStrings({ t: (message) => message });
const spec = { by: "spec" } as const;

function modelOf(part: Partial<ViewInput> = {}): ReturnType<typeof makeViewModel> {
  const input: ViewInput = {
    folder: "project",
    selection: [],
    state: { kind: "ready" },
    report: sampleReport(),
    notices: [],
    formerSecrets: [],
    changes: undefined,
    ...part,
  };
  return makeViewModel(input, STRINGS);
}

function set(name: string, value: string, part: Partial<VariableReport> = {}): VariableReport {
  return { name, action: "set", value, isSecret: false, origin: spec, ...part } as VariableReport;
}

describe("secrets", () => {
  it("are in no part of the view's model: not in other values, scripts, notices, messages", () => {
    const state: FolderState = {
      kind: "failed",
      isCancelled: false,
      error: {
        code: "X",
        message: `curl failed: token ${SECRET}`,
        hint: `${SECRET} is refused`,
        suggestions: [],
        trace: [],
        text: "",
      },
    };
    const model = modelOf({
      state,
      notices: [`warning: ${SECRET}`],
      report: sampleReport({ hook: { state: "failed", message: `echo ${SECRET}` } }),
    });
    const text = JSON.stringify(model);
    expect(text).not.toContain(SECRET);
    // It was there to be found.
    expect(text.split(MASK)).toHaveLength(1 + 6);
    expect(model.variables.find(({ name }) => name === "API_TOKEN")).toMatchObject({
      isSecret: true,
      value: undefined,
    });
  });

  it("do not slip through where a list is cut into elements, or a value at its shown length", () => {
    const secret = "/first/half:/second/half";
    const filler = "x".repeat(SHOWN_LENGTH - 10);
    const variables = [
      set("PASSWORD", secret, { isSecret: true }),
      set("SEARCH_PATH", `/a:${secret}:/b`),
      set("LONG", `${filler}${secret}`),
    ];
    const model = modelOf({ report: sampleReport({ variables, scripts: [] }) });
    expect(JSON.stringify(model)).not.toMatch(/first|second/);
    const changes = makeChanges(
      sampleReport({ variables: [set("PASSWORD", secret, { isSecret: true }), set("SEARCH_PATH", "/a:/b")] }),
      sampleReport({ variables }),
      0,
    );
    expect(JSON.stringify(changes)).not.toMatch(/first|second/);
  });

  it("stay secrets after their variable has a new value", () => {
    const former = [set("API_TOKEN", "the-former-token", { isSecret: true })];
    const variables = [set("URL", "https://the-former-token@example.org")];
    const model = modelOf({ report: sampleReport({ variables }), formerSecrets: former });
    expect(model.variables[0]?.value?.text).toBe(`https://${MASK}@example.org`);
  });

  it("stay secrets in changes, though only one of the two reports calls them so", () => {
    const before = sampleReport({
      variables: [set("KEY", "old-value-1", { isSecret: true }), set("B", "1")],
    });
    const after = sampleReport({ variables: [set("KEY", "new-value-2"), set("B", "old-value-1")] });
    const changes = makeChanges(before, after, 0);
    expect(JSON.stringify(changes)).not.toMatch(/old-value|new-value/);
    expect(changes.changes.map(({ name, isSecret }) => [name, isSecret])).toEqual([
      ["B", false],
      ["KEY", true],
    ]);
  });
});

describe("values", () => {
  const valueOf = (variable: VariableReport) =>
    modelOf({ report: sampleReport({ variables: [variable] }) }).variables[0]?.value;

  it("longer than can be shown are cut, never within a pair", () => {
    const value = valueOf(set("A", "🙂".repeat(SHOWN_LENGTH)));
    expect(value).toMatchObject({ length: 2 * SHOWN_LENGTH, isCut: true });
    expect(value?.text).toBe("🙂".repeat(SHOWN_LENGTH / 2));
    expect(beginning(`a${"🙂".repeat(3)}`, 4)).toBe("a🙂");
    expect(beginning("\ud800", 4)).toBe("\ufffd");
  });

  it("are lists where they are paths", () => {
    expect(valueOf(set("A_PATH", "/one"))?.elements).toEqual(["/one"]);
    expect(valueOf(set("DIRECTORIES", "/one:/two"))?.elements).toEqual(["/one", "/two"]);
    expect(valueOf(set("URL", "https://example.org:8080"))?.elements).toBeUndefined();
    expect(valueOf(set("TIME", "12:30"))?.elements).toBeUndefined();
    const prepend: VariableReport = {
      name: "PERL5LIB",
      action: "prepend",
      value: "a;b",
      separator: ";",
      isSecret: false,
      origin: spec,
    };
    expect(valueOf(prepend)?.elements).toEqual(["a", "b"]);
  });

  it("that are not UTF-8 say so", () => {
    expect(valueOf(set("A", "\ufffd", { base64: "/w==" } as Partial<VariableReport>))).toMatchObject({
      isBinary: true,
    });
  });

  it("of a huge environment are cut shorter, so that the message stays small", () => {
    const variables = Array.from({ length: 400 }, (_, index) => set(`V${index}`, "y".repeat(100_000)));
    const model = modelOf({ report: sampleReport({ variables }) });
    expect(JSON.stringify(model).length).toBeLessThan(1_000_000);
  });
});

describe("the model", () => {
  it("says who set a variable, and where", () => {
    const { variables } = modelOf();
    const of = (name: string) => variables.find((variable) => variable.name === name);
    expect(of("CFLAGS")).toMatchObject({ origin: "spec", where: "devshell.yaml:4" });
    expect(of("CC")).toMatchObject({ origin: "set-up: gcc-wrapper", where: undefined });
    expect(of("LC_ALL")).toMatchObject({ action: "unset", value: undefined });
  });

  it("is there without an environment", () => {
    expect(modelOf({ report: undefined, state: { kind: "none" } })).toMatchObject({
      name: undefined,
      reportId: undefined,
      variables: [],
      state: { kind: "none", text: "No spec" },
    });
  });

  it("is made of 10,000 variables in good time", () => {
    const variables = manyVariables(10_000);
    const secrets = Array.from({ length: 1000 }, (_, index) =>
      set(`S${index}`, `secret-${index}-value`, { isSecret: true }),
    );
    const model = modelOf({ report: sampleReport({ variables: [...variables, ...secrets] }) });
    expect(model.variables).toHaveLength(11_000);
  });
});

describe("changes", () => {
  it("are what was added, changed, removed; elements of lists by themselves", () => {
    const before = sampleReport();
    const variables = [
      ...sampleVariables()
        .filter(({ name }) => name !== "CC")
        .map((variable) =>
          variable.name === "PATH" && variable.action === "prepend"
            ? { ...variable, value: ["/new/bin", ...variable.value.split(":").slice(1)].join(":") }
            : variable.name === "EMPTY"
              ? ({ name: "EMPTY", action: "unset", isSecret: false, origin: spec } as const)
              : variable,
        ),
      set("NEW", "1"),
    ];
    const { changes, more } = makeChanges(before, sampleReport({ variables }), 5);
    expect(more).toBe(0);
    expect(changes.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      "removed CC",
      "changed EMPTY",
      "added NEW",
      "changed PATH",
    ]);
    expect(changes[1]?.after).toEqual({ action: "unset", value: undefined });
    expect(changes[3]?.elements).toEqual([
      { kind: "added", text: "/new/bin" },
      { kind: "removed", text: expect.stringContaining("gcc-12-12.2.0/bin") },
    ]);
  });

  it("are none where only positions and origins moved", () => {
    const moved = sampleVariables().map((variable) => ({ ...variable, origin: { by: "devshell" } as const }));
    expect(makeChanges(sampleReport(), sampleReport({ variables: moved }), 0).changes).toEqual([]);
  });

  it("beyond some thousands are counted", () => {
    const { changes, more } = makeChanges(
      sampleReport({ variables: [] }),
      sampleReport({ variables: manyVariables(10_000) }),
      0,
    );
    expect(changes.length + more).toBe(10_000);
    expect(changes).toHaveLength(5000);
  });
});

describe("the closure", () => {
  it("has indexes for paths", () => {
    const report = sampleClosure(20);
    const { paths, roots } = makeClosure(report);
    expect(new Set(roots.map((index) => paths[index]?.path))).toEqual(new Set(report.roots));
    for (const [index, path] of report.paths.entries())
      expect(paths[index]?.references.map((reference) => paths[reference]?.path).sort()).toEqual(
        [...path.references].sort(),
      );
  });

  it("counts once what paths share, and says where a tree's files are from", () => {
    const report = linkedClosure();
    const { paths, roots } = makeClosure(report);
    const tree = paths[roots[0] ?? -1];
    expect(tree).toMatchObject({ name: "devshell-env", sizeBytes: 3000 });
    expect(tree?.references.map((index) => paths[index]?.name).sort()).toEqual([
      "binutils-2.40",
      "gcc-12-12.2.0",
      "libc6-2.36",
    ]);
    expect(paths.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(3000 + 600 + 200 + 100);
    expect(closureOf(JSON.stringify(report))).toEqual(report);
  });

  it("is read with suspicion", () => {
    const report = sampleClosure(3);
    expect(closureOf(JSON.stringify(report))).toEqual(report);
    const wrong: unknown[] = [
      { ...report, protocol: 2 },
      { ...report, roots: [1] },
      { ...report, paths: [{ ...report.paths[0], narSizeBytes: "1" }] },
      { ...report, paths: [{ ...report.paths[0], narSizeBytes: -1 }] },
      { ...report, paths: [{ ...report.paths[0], ownSizeBytes: -1 }] },
      { ...report, paths: [{ ...report.paths[0], linkedFrom: [1] }] },
      { ...report, paths: {} },
      [],
      null,
    ];
    for (const value of wrong) expect(closureOf(JSON.stringify(value))).toBeUndefined();
    expect(closureOf("devshell: error")).toBeUndefined();
  });
});

it("requests of the page are what it may ask for, and nothing else", () => {
  expect(parseRequest({ type: "copyValue", name: "A", more: 1 })).toEqual({ type: "copyValue", name: "A" });
  expect(parseRequest({ type: "command", command: "reload" })).toEqual({
    type: "command",
    command: "reload",
  });
  for (const message of [
    null,
    "ready",
    { type: "command", command: "workbench.action.terminal.sendSequence" },
    { type: "command", command: "toString" },
    { type: "copyElement", name: "A" },
    { type: "openOrigin", name: 1 },
    { type: "eval", text: "1" },
  ])
    expect(parseRequest(message)).toBeUndefined();
});
