// The environment view's page in Chromium alone: what it shows, keeps to itself, and asks the extension for.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VariableReport } from "../../cli/protocol/types.ts";
import type { FolderState } from "../../vscode-extension/src/model.ts";
import type { FromView, ViewModel } from "../../vscode-extension/src/view/viewMessages.ts";
import {
  makeChanges,
  makeClosure,
  makeViewModel,
  type ViewInput,
} from "../../vscode-extension/src/view/viewModel.ts";
import { describeEditor, readyEditor } from "./harness/index.ts";
import {
  linkedClosure,
  manyVariables,
  sampleClosure,
  sampleReport,
  sampleVariables,
  SECRET,
} from "./viewSamples.ts";
import { launchChromium, openView, STRINGS, type View, type ViewOptions } from "./webviewPage.ts";

const spec = { by: "spec" } as const;

function modelOf(part: Partial<ViewInput> = {}): ViewModel {
  const report = sampleReport();
  return makeViewModel(
    {
      folder: "project",
      selection: [],
      state: { kind: "ready" },
      report,
      notices: [],
      formerSecrets: [],
      changes: undefined,
      ...part,
    },
    STRINGS,
  );
}

function withVariables(variables: readonly VariableReport[]): ViewModel {
  return modelOf({ report: sampleReport({ variables }) });
}

function set(name: string, value: string, detail?: string): VariableReport {
  return { name, action: "set", value, isSecret: false, origin: { by: "spec", detail } };
}

/** As much of the DOM as is used here: tests are compiled without its types. */
interface LabelledElement {
  readonly ariaLabel: string | null;
}

const asked = async (view: View, type: FromView["type"]): Promise<readonly FromView[]> =>
  (await view.messages()).filter((message) => message.type === type);

const focused = async (view: View): Promise<unknown> =>
  await view.page.evaluate('document.activeElement.getAttribute("aria-label")');

describeEditor("the environment view's page", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium(readyEditor().chromium);
  });
  afterAll(async () => await browser?.close());
  const open = async (options: ViewOptions = {}): Promise<View> =>
    await openView(browser, { model: modelOf(), ...options });
  const row = (view: View, name: string) =>
    view.page.getByRole("row").filter({ has: view.page.getByRole("rowheader", { name, exact: true }) });

  test("shows name, state, spec, and each variable with who set it", async () => {
    await using view = await open();
    const { page } = view;
    await page.getByRole("heading", { name: "hello-c" }).waitFor();
    expect(await page.getByRole("img", { name: "State: Ready" }).isVisible()).toBe(true);
    await page.getByRole("button", { name: "Open the spec, devshell.yaml" }).click();
    await page.getByRole("button", { name: "Reload" }).click();
    expect(await asked(view, "command")).toEqual([
      { type: "command", command: "openSpec" },
      { type: "command", command: "reload" },
    ]);
    expect(await row(view, "CFLAGS").textContent()).toContain("-O2 -g -Wallspec devshell.yaml:4");
    expect(await row(view, "CC").textContent()).toContain("gccset-up: gcc-wrapper");
    expect(await row(view, "LC_ALL").textContent()).toContain("unset");
    expect(await row(view, "GREETING").textContent()).toContain("hello⏎world");
    expect(await page.getByText("11 variables", { exact: true }).isVisible()).toBe(true);
    expect(view.errors).toEqual([]);
  });

  test("never holds a secret's value; copying it takes a click on its own button", async () => {
    await using view = await open();
    const { page } = view;
    await row(view, "API_TOKEN").click();
    await page.getByRole("complementary", { name: "Details of API_TOKEN" }).waitFor();
    await page.keyboard.press("Control+c");
    expect(await asked(view, "copyValue")).toEqual([]);
    await page.getByRole("complementary").getByRole("button", { name: "Copy Secret Value" }).click();
    expect(await asked(view, "copyValue")).toEqual([{ type: "copyValue", name: "API_TOKEN" }]);
    await page.getByRole("tab", { name: "Scripts" }).click();
    await page.getByText("Authorization").waitFor();
    await page.getByRole("tab", { name: "Variables" }).click();
    await page.getByRole("textbox").fill(SECRET);
    await page.getByText("Nothing matches.").first().waitFor();
    await page.getByRole("textbox").fill("");
    expect(await page.content()).not.toContain(SECRET);
    expect(JSON.stringify(await view.messages())).not.toContain(SECRET);
    expect(await row(view, "DATABASE_URL").textContent()).toContain("postgres://app:••••••••@localhost/app");
    expect(view.errors).toEqual([]);
  });

  test("hostile texts are text: markup, marks of direction, controls, a megabyte", async () => {
    const markup = `</textarea><script>globalThis.broken = 1</script><img src=x onerror="globalThis.broken = 1">`;
    const controls = Array.from({ length: 31 }, (_, index) => String.fromCharCode(index + 1)).join("");
    const report = sampleReport({
      name: markup,
      variables: [
        set("CONTROLS", `${controls}\u007f\u0085`),
        set("DIRECTION", "\u202egnirts\u2066"),
        set("HEBREW", "שלום עולם"),
        set("LONG", "z".repeat(1024 * 1024)),
        set("MARKUP", markup, markup),
        set("SURROGATE", "a\ud800b"),
        set("MARKUP_PATH", `/a${markup.replaceAll("/", "|")}:/b`),
      ],
      spec: { kind: "file", path: `/project/${markup}.nix`, root: "/project" },
      scripts: [{ name: markup, text: markup }],
      searchPaths: { programs: [markup], headers: [], libraries: [], pkgConfig: [] },
    });
    const state: FolderState = {
      kind: "failed",
      isCancelled: false,
      error: { code: "X", message: markup, hint: markup, suggestions: [], trace: [], text: "" },
    };
    await using view = await open({
      model: modelOf({
        report,
        state,
        notices: [markup],
        changes: makeChanges(sampleReport(), report, 0),
      }),
    });
    const { page } = view;
    expect(await row(view, "CONTROLS").textContent()).toContain("␁␂␃␄␅␆␇␈␉⏎␋␌␍␎␏␐");
    expect(await row(view, "CONTROLS").textContent()).toContain("␟␡⟨U+0085⟩");
    expect(await row(view, "DIRECTION").textContent()).toContain("⟨U+202E⟩gnirts⟨U+2066⟩");
    expect(await row(view, "HEBREW").textContent()).toContain("שלום עולם");
    expect(await row(view, "SURROGATE").textContent()).toContain("a\ufffdb");
    expect(await row(view, "MARKUP").textContent()).toContain(markup);

    await row(view, "LONG").click();
    const details = page.getByRole("complementary");
    expect(await details.textContent()).toContain(
      "The first 4,000 of 1,048,576 characters. Copying gives the whole value.",
    );
    await details.getByRole("button", { name: "Copy Value" }).click();
    expect(await asked(view, "copyValue")).toEqual([{ type: "copyValue", name: "LONG" }]);
    await row(view, "MARKUP").click();
    expect(await details.textContent()).toContain(markup);

    await view.send({ type: "closure", closure: { state: "failed", message: markup } });
    for (const tab of ["Changes", "Closure", "Scripts"]) await page.getByRole("tab", { name: tab }).click();
    expect(
      await page.evaluate("[globalThis.broken, document.images.length, document.scripts.length]"),
    ).toEqual([undefined, 0, 0]);
    expect(await page.evaluate("document.querySelectorAll('textarea, iframe, object, form').length")).toBe(0);
    expect(view.errors).toEqual([]);
  });

  test("nothing from elsewhere is run or loaded", async () => {
    await using view = await open();
    const tried = await view.page.evaluate(`(async () => {
      const script = document.createElement("script");
      script.textContent = "globalThis.broken = 1";
      document.body.append(script);
      const fetched = await fetch(location.href).then(() => "fetched", () => "refused");
      return [globalThis.broken ?? null, fetched];
    })()`);
    expect(tried).toEqual([null, "refused"]);
    expect(view.errors.join("\n")).toMatch(/Content Security Policy/);
  });

  test("the filter finds names, values and who set them, and says how many", async () => {
    await using view = await open();
    const { page } = view;
    const names = async (): Promise<string[]> => await page.getByRole("rowheader").allTextContents();
    await page.keyboard.press("/");
    await page.keyboard.type("gcc-wr");
    expect(await names()).toEqual(["CC"]);
    await expect.poll(() => page.getByRole("status").textContent()).toBe("1 of 11 variables");
    await page.keyboard.press("Escape");
    expect((await names()).length).toBeGreaterThan(10);
    await page.keyboard.type("-o2 -G");
    expect(await names()).toEqual(["CFLAGS"]);
    expect(await page.locator("mark").allTextContents()).toEqual(["-O2 -g"]);
    await page.keyboard.type("nothing has this");
    await expect.poll(() => page.getByRole("status").textContent()).toBe("Nothing matches.");
    await page.getByRole("button", { name: "Clear Filter" }).click();
    expect((await names()).length).toBeGreaterThan(10);
  });

  test("lists of paths open into their elements; each can be copied", async () => {
    await using view = await open();
    const { page } = view;
    // PATH is open from the start.
    const path = row(view, "PATH");
    expect(await path.getAttribute("aria-expanded")).toBe("true");
    const elements = page.locator('[role="row"][aria-level="2"]');
    expect(await elements.count()).toBe(6);
    expect(await elements.last().textContent()).toBe("then your own value");
    await page.getByRole("treegrid").focus();
    for (let step = 0; step < 9; step += 1) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Control+c");
    expect(await asked(view, "copyElement")).toEqual([{ type: "copyElement", name: "PATH", index: 0 }]);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    expect(await elements.count()).toBe(0);
    await page.keyboard.press("Control+c");
    await page.keyboard.press("Shift+Alt+KeyC");
    expect((await view.messages()).slice(-2)).toEqual([
      { type: "copyValue", name: "PATH" },
      { type: "copyName", name: "PATH" },
    ]);
  });

  test("rows are grouped and sorted by who set them; a place is jumped to", async () => {
    await using view = await open();
    const { page } = view;
    await page.getByRole("button", { name: "Set By" }).click();
    const header = page.getByRole("columnheader", { name: "Set By" });
    expect(await header.getAttribute("aria-sort")).toBe("ascending");
    expect(await page.locator('[aria-level="1"] [role="rowheader"]').first().textContent()).toBe(
      "NIX_CFLAGS_COMPILE",
    );
    await page.getByRole("button", { name: "Set By" }).click();
    expect(await header.getAttribute("aria-sort")).toBe("descending");
    await page.getByRole("button", { name: "Group by Who Set Them" }).click();
    const groups = page.locator('[aria-level="1"] [role="rowheader"]');
    expect(await groups.allTextContents()).toEqual([
      "spec 5",
      "shell hook 1",
      "set-up: gcc-wrapper 1",
      "package: zlib 1",
      "package: gcc 1",
      "devshell 1",
      "derivation 1",
    ]);
    await page.getByRole("treegrid").focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("F12");
    expect((await asked(view, "openOrigin")).length).toBe(1);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    expect(await row(view, "CFLAGS").count()).toBe(0);
  });

  test("changes: what came, went, and differs", async () => {
    const after = sampleReport({
      id: "2".repeat(64),
      variables: [
        ...sampleVariables()
          .filter(({ name }) => name !== "CC")
          .map((variable): VariableReport => {
            if (variable.action === "unset") return variable;
            if (variable.name === "API_TOKEN") return { ...variable, value: "another-token" };
            return variable.name === "PATH" ? { ...variable, value: `/new/bin:${variable.value}` } : variable;
          }),
        { name: "FRESH", action: "prepend", separator: ":", value: "/x", isSecret: false, origin: spec },
      ],
    });
    await using view = await open();
    const { page } = view;
    await page.getByRole("tab", { name: "Changes" }).click();
    await page.getByText("Nothing has changed since the folder was opened.").waitFor();
    const changes = makeChanges(sampleReport(), after, 1);
    await view.send({ type: "model", model: modelOf({ report: after, changes }) });
    expect(await page.getByRole("tab", { name: "Changes, 4" }).isVisible()).toBe(true);
    const texts = await page.locator("#panel-changes [aria-level]").allTextContents();
    expect(texts).toEqual([
      "Changed 2",
      "API_TOKEN••••••••••••••••",
      expect.stringContaining("PATH5 elements"),
      "+/new/bin",
      "Added 1",
      "FRESH–/x",
      "Removed 1",
      "CCgcc–",
    ]);
    expect(await page.content()).not.toContain("another-token");
  });

  test("the closure is asked for when it is first looked at, and again for a new environment", async () => {
    await using view = await open();
    const { page } = view;
    expect(await asked(view, "loadClosure")).toEqual([]);
    await page.getByRole("tab", { name: "Closure" }).click();
    await page.getByText("Reading the closure …").waitFor();
    await view.send({ type: "closure", closure: { state: "failed", message: "no store here" } });
    await page.getByText("no store here").waitFor();
    await page.getByRole("button", { name: "Try Again" }).click();
    await view.send({
      type: "closure",
      closure: { state: "ready", closure: makeClosure(sampleClosure(40)) },
    });
    await page.getByRole("listbox").waitFor();
    await page.getByRole("tab", { name: "Variables" }).click();
    await page.getByRole("tab", { name: "Closure" }).click();
    expect((await asked(view, "loadClosure")).length).toBe(2);
    await view.send({ type: "model", model: modelOf({ report: sampleReport({ id: "3".repeat(64) }) }) });
    await expect.poll(async () => (await asked(view, "loadClosure")).length).toBe(3);
  });

  test("the treemap's areas are the sizes; details say why a path is here; the list says the same", async () => {
    const report = sampleClosure(60);
    const total = report.paths.reduce((sum, { narSizeBytes }) => sum + narSizeBytes, 0);
    await using view = await open({ state: { tab: "closure" } });
    const { page } = view;
    await view.send({ type: "closure", closure: { state: "ready", closure: makeClosure(report) } });
    const cells = (await page.evaluate(`[...document.querySelectorAll("[role=option]")].map((cell) => {
      const { width, height } = cell.getBoundingClientRect();
      return [cell.getAttribute("aria-label"), (width + 1) * (height + 1)];
    })`)) as readonly (readonly [string, number])[];
    const all = cells.reduce((sum, [, area]) => sum + area, 0);
    for (const { name, narSizeBytes } of report.paths.filter((each) => each.narSizeBytes > total / 50)) {
      const area = cells.find(([label]) => label.startsWith(`${name}, `))?.[1] ?? 0;
      expect(area / all).toBeCloseTo(narSizeBytes / total, 2);
    }

    const glibc = page.getByRole("option", { name: "glibc-2.36" });
    await glibc.hover();
    await page.getByText(/^glibc-2\.36, 65\.0 MiB, .*Needed By: gcc-12-12\.2\.0, cmake-3\.25\.1$/).waitFor();
    await glibc.click();
    const details = page.getByRole("complementary", { name: "Details of glibc-2.36" });
    const why = details.locator(".chain li");
    expect(await why.allTextContents()).toEqual(["the environment itself", "gcc-12-12.2.0", "glibc-2.36"]);
    await details.getByRole("button", { name: "cmake-3.25.1" }).click();
    await page.getByRole("complementary", { name: "Details of cmake-3.25.1" }).waitFor();
    await page.getByRole("button", { name: "Copy Store Path" }).click();
    const cmake = report.paths.find(({ name }) => name === "cmake-3.25.1")?.path;
    expect(await asked(view, "copyStorePath")).toEqual([{ type: "copyStorePath", path: cmake }]);
    await page.getByRole("button", { name: "Only What It Needs" }).click();
    await page.getByText("What cmake-3.25.1 needs", { exact: true }).waitFor();
    expect(await page.getByRole("option", { name: "gcc-12" }).count()).toBe(0);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    expect(await page.getByRole("option", { name: "gcc-12" }).count()).toBe(1);

    await page.getByRole("button", { name: "List" }).click();
    const sizes = await page.locator('#panel-closure [role="gridcell"].number:not(.share)').allTextContents();
    expect(sizes.slice(0, 4)).toEqual(["230 MiB", "0", "104 MiB", "1"]);
    await page.getByRole("textbox").fill("cmake");
    expect(await page.locator('#panel-closure [role="rowheader"]').allTextContents()).toEqual([
      "cmake-3.25.1 of the environment itself",
    ]);
    expect(view.errors).toEqual([]);
  });

  const STATES: readonly (readonly [FolderState, string, FromView])[] = [
    [{ kind: "none" }, "Create a Spec", { type: "command", command: "initialise" }],
    [{ kind: "untrusted" }, "Manage Workspace Trust", { type: "command", command: "manageTrust" }],
    [{ kind: "disabled" }, "Enable", { type: "command", command: "enable" }],
    [{ kind: "loading", startedMs: 0 }, "Cancel", { type: "command", command: "cancel" }],
    [
      {
        kind: "failed",
        isCancelled: false,
        error: {
          code: "SPEC_UNKNOWN_FIELD",
          message: 'Cannot read the spec: found "pakages"',
          hint: 'did you mean "packages"?',
          position: { path: "/project/devshell.yaml", line: 2, column: 1 },
          suggestions: [],
          trace: [],
          text: "",
        },
      },
      "Open devshell.yaml:2",
      { type: "command", command: "openError" },
    ],
  ];
  for (const [state, button, message] of STATES)
    test(`state ${state.kind} has its words and its way on`, async () => {
      await using view = await open({ model: modelOf({ state, report: undefined }) });
      await view.page.getByRole("button", { name: button, exact: true }).click();
      expect(await asked(view, "command")).toEqual([message]);
      if (state.kind === "failed")
        expect(await view.page.getByRole("group", { name: "Failed" }).textContent()).toContain(
          'found "pakages"did you mean "packages"?No earlier environment is in use.',
        );
    });

  test("what a tree of links shares with packages is counted once", async () => {
    await using view = await open({ state: { tab: "closure" } });
    const { page } = view;
    await view.send({ type: "closure", closure: { state: "ready", closure: makeClosure(linkedClosure()) } });
    await page.getByText("3.8 KiB in 4 store paths").first().waitFor();
    expect(
      await page
        .getByRole("option")
        .evaluateAll((cells) => cells.map((cell) => (cell as unknown as LabelledElement).ariaLabel)),
    ).toEqual([
      "devshell-env, 2.9 KiB, 77%",
      "gcc-12-12.2.0, 600 B, 15%",
      "binutils-2.40, 200 B, 5.1%",
      "libc6-2.36, 100 B, 2.6%",
    ]);
    await page.getByRole("option", { name: /^gcc-12/ }).click();
    expect(await page.getByRole("complementary").locator(".chain li").allTextContents()).toEqual([
      "the environment itself",
      "devshell-env",
      "gcc-12-12.2.0",
    ]);
  });

  test("progress moves without touching what is read; the reload's end is said", async () => {
    await using view = await open();
    const { page } = view;
    const reload = page.getByRole("button", { name: "Reload" });
    await reload.focus();
    const text = "gcc-12 (3 of 14)";
    for (const fraction of [0.25, 0.5])
      await view.send({
        type: "state",
        state: { kind: "stale", text: "Reloading", progress: { text, fraction } },
      });
    await page.getByText(text).waitFor();
    expect(await page.getByRole("progressbar").getAttribute("aria-valuenow")).toBe("50");
    expect(await focused(view)).toBe("Cancel");
    await view.send({ type: "state", state: { kind: "ready", text: "Ready" } });
    await view.send({ type: "announce", text: "The environment has changed: 2 variables" });
    await expect
      .poll(() => page.getByRole("status").textContent())
      .toBe("The environment has changed: 2 variables");
    expect(await focused(view)).toBe("Reload");
  });

  test("what was chosen comes back after the view was hidden", async () => {
    await using first = await open();
    await first.page.getByRole("textbox").fill("path");
    await first.page.getByRole("button", { name: "Group by Who Set Them" }).click();
    await first.page.getByRole("tab", { name: "Scripts" }).click();
    const state = await first.state();
    expect(state).toMatchObject({ folder: "file:///project", tab: "paths", filter: "path", isGrouped: true });
    await using second = await open({ state });
    expect(await second.page.getByRole("tab", { name: "Scripts" }).getAttribute("aria-selected")).toBe(
      "true",
    );
    await second.page.getByRole("tab", { name: "Variables" }).click();
    expect(await second.page.getByRole("textbox").inputValue()).toBe("path");
    expect(await second.page.getByText("2 of 11 variables").first().isVisible()).toBe(true);
  });

  // How long it takes is for the benchmark: `npm run bench -- view`.
  describe("with 10,000 variables and 2,000 store paths", () => {
    /** How many rows and cells the page makes meanwhile, and how often it empties the treemap for new ones. */
    async function made(
      { page }: View,
      act: () => Promise<unknown>,
    ): Promise<{ readonly rows: number; readonly cells: number; readonly layouts: number }> {
      await page.evaluate(`
        made = { rows: 0, cells: 0, layouts: 0 };
        observe = (records) => {
          for (const { target, addedNodes, removedNodes } of records) {
            const has = (name) => [...addedNodes].filter((node) => node.classList?.contains(name)).length;
            made.rows += has("row");
            made.cells += has("map-cell");
            if (target.role === "listbox" && addedNodes.length + removedNodes.length > 0) made.layouts += 1;
          }
        };
        observer = new MutationObserver(observe);
        observer.observe(document.body, { childList: true, subtree: true });`);
      await act();
      return await page.evaluate(`new Promise((done) =>
        requestAnimationFrame(() =>
          requestAnimationFrame(() => {
            observe(observer.takeRecords());
            observer.disconnect();
            done(made);
          }),
        ),
      )`);
    }

    test("has few elements, and makes no more for a letter or a step than can be seen", async () => {
      await using view = await open({ model: withVariables(manyVariables(10_000)), waits: true });
      const { page } = view;
      const rows = page.locator(".row");
      expect((await made(view, () => page.evaluate("sendFirst()"))).rows).toBeLessThan(120);
      expect(await page.locator('.row [role="rowheader"]').nth(5).textContent()).toBe("VARIABLE_00005");
      expect(await rows.count()).toBeLessThan(120);
      await page.keyboard.press("Control+f");
      for (const letter of "VARIABLE_09")
        expect((await made(view, () => page.keyboard.type(letter))).rows).toBeLessThan(120);
      expect(await page.getByText("1,000 of 10,000 variables").first().isVisible()).toBe(true);
      await page.getByRole("textbox").fill("");
      await page.locator(".grid-body").first().hover();
      for (let step = 0; step < 5; step += 1)
        expect((await made(view, () => page.mouse.wheel(0, 3000))).rows).toBeLessThan(120);
      await page.getByRole("treegrid").focus();
      await page.keyboard.press("End");
      expect(await row(view, "VARIABLE_09999").isVisible()).toBe(true);
      expect(await rows.count()).toBeLessThan(120);
    });

    test("a treemap of 2,000 paths has cells that can be pointed at, made once for each filter", async () => {
      await using view = await open({ state: { tab: "closure" } });
      const { page } = view;
      const closure = makeClosure(sampleClosure(2000));
      await view.send({ type: "closure", closure: { state: "ready", closure } });
      await page.getByRole("option").first().waitFor();
      const cells = await page.getByRole("option").count();
      expect(cells).toBeGreaterThan(100);
      expect(cells).toBeLessThan(1000);
      expect(await page.getByRole("option", { name: /smaller paths/ }).count()).toBe(1);
      await page.getByRole("listbox").focus();
      for (const key of ["ArrowRight", "ArrowDown", "End", "Home"])
        expect(await made(view, () => page.keyboard.press(key))).toMatchObject({ cells: 0, layouts: 0 });
      const filtered = await made(view, () => page.getByRole("textbox").fill("package"));
      expect(filtered).toMatchObject({ layouts: 1 });
      expect(filtered.cells).toBe(await page.getByRole("option").count());
      expect(filtered.cells).toBeLessThan(1500);
    });
  });
});
