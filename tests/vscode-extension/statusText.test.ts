import { describe, expect, it } from "vitest";
import type { WorkspaceFolder } from "vscode";
import { actionsOf } from "../../vscode-extension/src/commands/actions.ts";
import type { FolderEnvironment, FolderState } from "../../vscode-extension/src/model.ts";
import {
  durationText,
  escapeMarkdown,
  statusText,
  STATUS_COMMANDS,
} from "../../vscode-extension/src/commands/statusText.ts";
import { reportOf } from "./reportOf.ts";

const l10n = {
  t: (message: string, ...args: (string | number)[]) =>
    message.replace(/\{(\d+)\}/g, (_, index: string) => String(args[Number(index)])),
};
const folder = { name: "project", index: 0 } as WorkspaceFolder;
const options = { mode: "always", hasSeveralFolders: false } as const;
const error = {
  code: "SPEC_UNKNOWN_FIELD",
  message: 'Cannot use field "pakages"',
  hint: "is it packages?",
  suggestions: [],
  trace: [],
  text: "",
};
const STATES: Record<string, FolderState> = {
  none: { kind: "none" },
  untrusted: { kind: "untrusted" },
  disabled: { kind: "disabled" },
  loading: {
    kind: "loading",
    progress: { stage: "realise", text: "gcc-12 (3 of 14)", fraction: 0.25 },
    startedMs: 0,
  },
  ready: { kind: "ready" },
  stale: { kind: "stale", startedMs: 0 },
  failed: { kind: "failed", error, isCancelled: false },
  cancelled: { kind: "failed", error, isCancelled: true },
};

function environmentOf(name: string, overrides: Partial<FolderEnvironment> = {}): FolderEnvironment {
  const state = STATES[name] ?? { kind: "none" };
  const report = ["ready", "stale", "failed"].includes(name) ? reportOf({ name: "tools" }) : undefined;
  return { folder, state, report, isFromCache: false, selection: [], notices: [], ...overrides };
}

const show = (name: string, overrides: Partial<FolderEnvironment> = {}) =>
  statusText(environmentOf(name, overrides), options, l10n);

describe("statusText", () => {
  it.each([
    ["none", "$(package) No devshell", "normal"],
    ["untrusted", "$(workspace-untrusted) devshell", "normal"],
    ["disabled", "$(circle-slash) devshell", "normal"],
    ["loading", "$(loading~spin) gcc-12 (3 of 14)", "normal"],
    ["ready", "$(package) tools", "normal"],
    ["stale", "$(sync~spin) tools", "normal"],
    ["failed", "$(error) tools", "error"],
    ["cancelled", "$(debug-stop) devshell", "warning"],
  ])("%s", (name, text, severity) => {
    const status = show(name);
    expect(status).toMatchObject({ text, severity });
    // A screen reader hears the state, and no icon.
    expect(status?.label).toMatch(/^Devshell: [^$]{4,}$/);
  });

  it("says each state in other words to a screen reader", () => {
    const labels = Object.keys(STATES).map((name) => show(name)?.label);
    expect(new Set(labels).size).toBe(labels.length);
  });

  it("is hidden as the setting says", () => {
    const at = (mode: "always" | "withSpec" | "never", name: string) =>
      statusText(environmentOf(name), { ...options, mode }, l10n) !== undefined;
    expect([at("withSpec", "none"), at("withSpec", "failed")]).toEqual([false, true]);
    expect([at("never", "ready"), at("always", "none")]).toEqual([false, true]);
    expect(statusText(undefined, options, l10n)).toBeUndefined();
  });

  it("names the folder where there are several, and shortens long progress", () => {
    const status = statusText(environmentOf("ready"), { ...options, hasSeveralFolders: true }, l10n);
    expect(status?.text).toBe("$(package) tools (project)");
    const state: FolderState = {
      kind: "loading",
      progress: { stage: "evaluate", text: `${"long ".repeat(40)}\nend` },
      startedMs: 0,
    };
    expect(show("loading", { state })?.text.length).toBeLessThan(60);
  });

  it("tells in the tooltip what is in use and what went wrong", () => {
    const report = reportOf({ name: "tools", packages: Array.from({ length: 20 }, (_, n) => `package${n}`) });
    const tooltip = show("failed", {
      report,
      selection: ["-A", "pan"],
      notices: ["BIG is too large"],
    })?.tooltip;
    expect(tooltip).toContain("Environment\\: tools");
    expect(tooltip).toContain("and 8 more");
    expect(tooltip).toContain("Selected\\: \\-A pan");
    expect(tooltip).toContain("$(warning) BIG is too large");
    expect(tooltip).toContain('Cannot use field "pakages"');
    expect(tooltip).toContain("is it packages?");
    expect(tooltip).toContain("[Open Spec](command:devshell.openSpec)");
    expect(show("loading")?.tooltip).toContain("\\(25 %\\)");
    expect(show("ready", { notices: ["x"] })?.text).toBe("$(warning) tools");
  });

  it("links only commands that are allowed, each in some state", () => {
    const linked = Object.keys(STATES).flatMap((name) =>
      [...(show(name)?.tooltip.matchAll(/\]\(command:([^)]*)\)/g) ?? [])].map((match) => match[1]),
    );
    expect(linked.length).toBeGreaterThan(10);
    for (const command of linked) expect(STATUS_COMMANDS).toContain(command);
  });

  it("lets nothing of a spec become Markdown, a link, an icon or HTML", () => {
    const hostile = "[x](command:devshell.reload) $(bug) <img src=x> **b** `c`\n# d ![i](http://e)";
    const report = reportOf({
      name: hostile,
      packages: [hostile],
      hook: { state: "failed", message: hostile },
    });
    const state: FolderState = {
      kind: "failed",
      error: { ...error, message: hostile, hint: hostile },
      isCancelled: false,
    };
    const status = show("failed", { report, state, notices: [hostile], selection: [hostile] });
    expect(status?.tooltip).not.toMatch(
      /(?<!\\)\]\(command:devshell\.reload\) \$|(?<!\\)\$\(bug|(?<!\\)<img|(?<!\\)!\[i/,
    );
    expect(status?.text).not.toContain("$(bug)");
    expect(escapeMarkdown(hostile)).not.toMatch(/(?<!\\)[[\]()<>`*#$!]/);
  });
});

describe("durationText", () => {
  it.each([
    [12.4, "12 ms"],
    [1234, "1.2 s"],
    [59_000, "59 s"],
    [61_000, "1 min 1 s"],
  ])("%d", (milliseconds, text) => expect(durationText(milliseconds, l10n)).toBe(text));
});

describe("actionsOf", () => {
  it("offers what does something in each state", () => {
    const of = (name: string) => actionsOf(environmentOf(name), l10n).map(({ command }) => command);
    expect(of("untrusted")).toEqual(["workbench.trust.manage", "devshell.showLog"]);
    expect(of("disabled")).toEqual(["devshell.enable", "devshell.showLog"]);
    expect(of("none")[0]).toBe("devshell.initialise");
    expect(of("none")).not.toContain("devshell.openSpec");
    expect(of("loading")[0]).toBe("devshell.cancel");
    expect(of("ready").slice(0, 2)).toEqual(["devshell.showEnvironment", "devshell.openTerminal"]);
    expect(of("ready")).not.toContain("devshell.cancel");
    expect(of("failed").slice(0, 2)).toEqual(["devshell.openSpec", "devshell.reload"]);
    expect(actionsOf(undefined, l10n)).toHaveLength(1);
  });
});
