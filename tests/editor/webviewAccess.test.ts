// The environment view's page by keyboard, for screen readers, in all themes, large and narrow.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VariableReport } from "../../cli/protocol/types.ts";
import { makeChanges, makeClosure, makeViewModel } from "../../vscode-extension/src/view/viewModel.ts";
import { describeEditor, readyEditor } from "./harness/index.ts";
import { sampleClosure, sampleReport, sampleVariables } from "./viewSamples.ts";
import { launchChromium, openView, STRINGS, type Theme, type View, type ViewOptions } from "./webviewPage.ts";

const CONTRAST = readFileSync(join(import.meta.dirname, "fixtures/contrast.js"), "utf8")
  .trim()
  .replace(/;$/, "");
const LEAST_CONTRAST = 4.5;

const before = sampleReport();
const after = sampleReport({
  id: "2".repeat(64),
  variables: [
    ...sampleVariables()
      .filter(({ name }) => name !== "CC")
      .map((variable): VariableReport =>
        variable.name === "PATH" && variable.action === "prepend"
          ? { ...variable, value: `/new/bin:${variable.value}` }
          : variable,
      ),
    { name: "ZZZ", action: "set", value: "1", isSecret: false, origin: { by: "shellHook" } },
  ],
});
const MODEL = makeViewModel(
  {
    folder: "project",
    selection: ["-A", "pan"],
    state: { kind: "ready" },
    report: after,
    formerSecrets: [],
    notices: ["BIG is too large for terminals"],
    changes: makeChanges(before, after, 1),
  },
  STRINGS,
);
const CLOSURE = {
  type: "closure",
  closure: { state: "ready", closure: makeClosure(sampleClosure(30)) },
} as const;

describeEditor("the environment view for everyone", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium(readyEditor().chromium);
  });
  afterAll(async () => await browser?.close());
  const open = async (options: ViewOptions = {}): Promise<View> =>
    await openView(browser, { model: MODEL, ...options });
  /** The name of what has the focus, or of its active row. */
  const focused = async (view: View): Promise<unknown> =>
    await view.page.evaluate(`(() => {
      const element = document.activeElement;
      const active = document.getElementById(element.getAttribute("aria-activedescendant"));
      const name = element.getAttribute("aria-label") ?? element.textContent;
      return active === null ? name : name + " > " + (active.getAttribute("aria-label") ?? active.querySelector("[role=rowheader]").textContent);
    })()`);

  test("names and roles, as a screen reader is given them", async () => {
    await using view = await open();
    const tree = await view.page.getByRole("main").ariaSnapshot();
    expect(tree).toContain(`- heading "hello-c" [level=1]`);
    expect(tree).toContain(`img "State: Ready"`);
    expect(tree).toContain(`- button "Open the spec, devshell.yaml"`);
    expect(tree).toContain(`- button "Keyboard Shortcuts"`);
    expect(tree).toContain(`- button "Reload"`);
    expect(tree).toContain(`- group "Warnings"`);
    expect(tree).toContain(`- tablist "Devshell Environment":`);
    expect(tree).toContain(`- tab "Variables" [selected]`);
    expect(tree).toContain(`- tab "Changes, 3"`);
    expect(tree).toContain(`- tabpanel "Variables":`);
    expect(tree).toContain(`- textbox "Filter by name, value or who set it"`);
    expect(tree).toContain(`- button "Group by Who Set Them"`);
    expect(tree).toContain(`- treegrid "Variables":`);
    expect(tree).toContain(`- columnheader "Name"`);
    expect(tree).toMatch(/- row "API_TOKEN secret spec devshell\.yaml:4[^"]*" \[.*selected/);
    expect(tree).toMatch(/row "PATH 6 elements \/new\/bin[^"]*" \[expanded/);
    expect(tree).toMatch(/- row "LC_ALL unset shell hook/);
    const facts = await view.page.evaluate(`(() => {
      const grid = document.querySelector("[role=treegrid]");
      const path = [...grid.querySelectorAll("[role=row]")].find((row) => row.textContent.startsWith("PATH"));
      return [grid.ariaRowCount, grid.ariaColCount, path.ariaRowIndex, path.ariaLevel, path.nextSibling.ariaLevel];
    })()`);
    expect(facts).toEqual(["19", "3", "9", "1", "2"]);

    await view.page.getByRole("tab", { name: "Closure" }).click();
    await view.send(CLOSURE);
    await view.page.getByRole("option").first().waitFor();
    const closure = await view.page.getByRole("tabpanel", { name: "Closure" }).ariaSnapshot();
    expect(closure).toContain(`- listbox "Treemap of store paths by size":`);
    expect(closure).toContain(`- option "gcc-12-12.2.0, 230 MiB, `);
    expect(closure).toContain(`- group "Show as":`);
    expect(closure).toContain(`- button "Treemap" [pressed]`);
    await view.page.getByRole("button", { name: "List" }).click();
    const list = await view.page.getByRole("tabpanel", { name: "Closure" }).ariaSnapshot();
    expect(list).toContain(`- grid "Closure":`);
    expect(list).toMatch(/- row "gcc-12-12\.2\.0 of the environment itself 230 MiB \d+% 0/);
  });

  test("everything is reached and left by keyboard", async () => {
    await using view = await open();
    const { page } = view;
    await page.getByRole("treegrid").waitFor();
    const stops: unknown[] = [];
    for (let step = 0; step < 14; step += 1) {
      await page.keyboard.press("Tab");
      stops.push(await focused(view));
    }
    expect(stops).toEqual([
      "Open the spec, devshell.yaml",
      "Keyboard Shortcuts",
      "Reload",
      "Variables",
      "Filter by name, value or who set it",
      "Group by Who Set Them",
      "Expand All",
      "Collapse All",
      "Variables > API_TOKEN",
      "Name",
      "Set By",
      "Go to devshell.yaml:4",
      "Copy Name",
      "Copy Secret Value",
    ]);
    await page.getByRole("tab", { name: "Variables" }).focus();
    const tabs: unknown[] = [];
    for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "End", "ArrowLeft", "Home"]) {
      await page.keyboard.press(key);
      tabs.push(await focused(view));
    }
    expect(tabs).toEqual([
      "Changes, 3",
      "Closure",
      "Scripts and Paths",
      "Variables",
      "Scripts and Paths",
      "Closure",
      "Variables",
    ]);

    // Details open with Enter, are reached with Tab, and Escape gives the focus back.
    await page.keyboard.press("Control+f");
    expect(await focused(view)).toBe("Filter by name, value or who set it");
    await page.keyboard.press("ArrowDown");
    for (const key of ["ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(key);
    expect(await focused(view)).toBe("Variables > DATABASE_URL");
    await page.getByRole("complementary").getByRole("button", { name: "Copy Name" }).focus();
    await page.keyboard.press("Escape");
    expect(await focused(view)).toBe("Variables > DATABASE_URL");
    expect(await page.getByRole("complementary").count()).toBe(0);

    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Keyboard Shortcuts" });
    expect(await help.isVisible()).toBe(true);
    await page.keyboard.press("Escape");
    expect(await help.isVisible()).toBe(false);
    expect(await focused(view)).toBe("Variables > DATABASE_URL");

    for (const [key, row] of [
      ["End", "ZZZ"],
      ["ArrowUp", "XDG_DATA_DIRS"],
      ["ArrowRight", "XDG_DATA_DIRS"],
      ["ArrowRight", "/a/share"],
      ["ArrowLeft", "XDG_DATA_DIRS"],
      ["ArrowLeft", "XDG_DATA_DIRS"],
      ["ArrowUp", "PKG_CONFIG_PATH"],
      ["Home", "API_TOKEN"],
    ] as const) {
      await page.keyboard.press(key);
      expect(await focused(view)).toBe(`Variables > ${row}`);
    }
  });

  test("the treemap is walked, opened, zoomed into and left by keyboard", async () => {
    await using view = await open({ state: { tab: "closure" } });
    const { page } = view;
    await view.send(CLOSURE);
    await page.getByRole("option").first().waitFor();
    await page.getByRole("listbox").focus();
    expect(await focused(view)).toMatch(/> gcc-12-12\.2\.0, /);
    const seen = new Set<unknown>();
    for (const key of ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft", "End", "Home"]) {
      await page.keyboard.press(key);
      seen.add(await focused(view));
    }
    expect(seen.size).toBeGreaterThan(3);
    await page.keyboard.press("Enter");
    await page.getByRole("complementary", { name: "Details of gcc-12-12.2.0" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("PageDown");
    await page.keyboard.press("+");
    await page.getByText("What cmake-3.25.1 needs", { exact: true }).waitFor();
    await expect
      .poll(() => page.getByRole("status").textContent())
      .toMatch(/^What cmake-3\.25\.1 needs: .* store paths$/);
    await page.keyboard.press("Escape");
    expect(await page.getByText("What cmake-3.25.1 needs", { exact: true }).count()).toBe(0);
  });

  test("what has the focus is seen to have it", async () => {
    await using view = await open();
    const { page } = view;
    await page.getByRole("treegrid").waitFor();
    for (let step = 0; step < 14; step += 1) {
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(`(() => {
        const row = document.querySelector(".grid:focus-visible .row.active");
        const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(row ?? document.activeElement);
        return [outlineStyle, outlineWidth, outlineColor].join(" ");
      })()`);
      expect(outline, String(await focused(view))).toBe("solid 1px rgb(0, 120, 212)");
    }
  });

  for (const theme of ["dark", "light", "highContrast", "highContrastLight"] satisfies Theme[])
    test(`every text is readable in theme ${theme}`, async () => {
      await using view = await open({ theme });
      const { page } = view;
      await page.getByRole("treegrid").waitFor();
      const check = async (where: string): Promise<void> => {
        const { count, found } = (await page.evaluate(`(${CONTRAST})(${LEAST_CONTRAST})`)) as {
          readonly count: number;
          readonly found: readonly string[];
        };
        expect(count, where).toBeGreaterThan(12);
        expect(found, where).toEqual([]);
      };
      await check("variables");
      await page.getByRole("treegrid").focus();
      for (let step = 0; step < 9; step += 1) await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await check("details, an active row");
      await page.getByRole("textbox").fill("gcc");
      await check("filtered");
      await page.keyboard.press("?");
      await page.getByRole("tab", { name: "Changes" }).click();
      await page.getByText("ZZZ", { exact: true }).last().waitFor();
      await check("changes");
      await page.getByRole("tab", { name: "Closure" }).click();
      await view.send(CLOSURE);
      await page.getByRole("option").first().click();
      await check("treemap");
      await page.getByRole("button", { name: "List" }).click();
      await page.getByRole("rowheader", { name: "gcc-12" }).waitFor();
      await check("list");
      await page.getByRole("tab", { name: "Scripts" }).click();
      await page.getByRole("button", { name: "Keyboard Shortcuts" }).click();
      await check("scripts and paths, shortcuts");
    });

  for (const [what, width, height] of [
    ["at 200 %", 640, 400],
    ["at 320 pixels", 320, 500],
  ] as const)
    test(`nothing is cut off ${what}`, async () => {
      await using view = await open({ width, height });
      const { page } = view;
      await page.getByRole("treegrid").waitFor();
      const sideways = async (): Promise<unknown> =>
        await page.evaluate(`[document.documentElement, ...document.querySelectorAll("main, .panel, .details, .toolbar, .header")]
          .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.checkVisibility())
          .map((element) => element.className)`);
      expect(await sideways()).toEqual([]);
      await page.getByText("CFLAGS", { exact: true }).click();
      expect(await sideways()).toEqual([]);
      for (const button of ["Copy Value", "Copy Name", "Close Details"])
        await page.getByRole("complementary").getByRole("button", { name: button }).click();
      for (const tab of ["Changes", "Closure", "Scripts"]) {
        await page.getByRole("tab", { name: tab }).click();
        if (tab === "Closure") {
          await view.send(CLOSURE);
          await page.getByRole("option").first().click();
        }
        expect(await sideways(), tab).toEqual([]);
      }
      await page.getByRole("button", { name: "Reload" }).click();
    });

  test("nothing moves for those who asked for that", async () => {
    const animation = async (view: View): Promise<unknown> => {
      await view.send({
        type: "state",
        state: { kind: "stale", text: "Reloading", progress: { text: "", fraction: undefined } },
      });
      await view.page.getByRole("progressbar").waitFor();
      return await view.page.evaluate(
        'getComputedStyle(document.querySelector(".progress-part")).animationName',
      );
    };
    await using moving = await open();
    expect(await animation(moving)).toBe("slide");
    await using still = await open({ reducedMotion: true });
    expect(await animation(still)).toBe("none");
    await using asked = await open();
    await asked.page.evaluate('document.body.classList.add("vscode-reduce-motion")');
    expect(await animation(asked)).toBe("none");
  });
});
