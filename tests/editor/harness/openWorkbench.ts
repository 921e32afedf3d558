// openWorkbench - one window of an editor in Chromium: what a user reads there and does there.
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { type HostFunction, callHost } from "./callHost.ts";
import { playwrightKeys } from "./keys.ts";
import { shotPath } from "./shots.ts";
import type { Editor } from "./startEditor.ts";
import { until } from "./until.ts";

export interface OpenOptions {
  readonly folders?: readonly string[];
  readonly workspace?: string;
  /** The browser profile of an earlier window (`workbench.page.context()`): keeps what a reload keeps. */
  readonly context?: BrowserContext;
  /** VS Code's `payload` of a window's address. */
  readonly payload?: readonly (readonly [string, string])[];
  /** Functions that the page may call, by their names. */
  readonly expose?: Readonly<Record<string, (...values: unknown[]) => void>>;
}

export interface StatusItem {
  /** `publisher.extension.id` of the item */
  readonly id: string;
  /** Without icons. */
  readonly text: string;
  /** Codicon names: `sync`, `warning`. */
  readonly icons: readonly string[];
  readonly ariaLabel: string;
  /** `error`, `warning` or `none`: the item's background. */
  readonly kind: string;
}

export interface TerminalTab {
  readonly name: string;
  /** Carries the warning "environment changed". A terminal that nobody typed in is restarted instead. */
  readonly isStale: boolean;
}

export interface ShellResult {
  readonly status: number;
  readonly stdout: string;
}

export interface Workbench extends AsyncDisposable {
  /** For everything else. */
  readonly page: Page;
  /** Presses the key of a command: one of the editor's `commands` or `keybindings`. */
  runCommand(command: string): Promise<void>;
  /** Runs the command that the palette shows by exactly this title ("Devshell: Reload"). */
  runFromPalette(title: string): Promise<void>;
  /** Presses a key as keybindings.json names it: `ctrl+shift+p`. */
  press(key: string): Promise<void>;

  /** Opens a new terminal and waits for its prompt. */
  openTerminal(): Promise<void>;
  /** The same for what opens one in another way. */
  opensTerminal(open: () => Promise<void>): Promise<void>;
  /** The text of the terminal that is in front; a long line stands as several. */
  terminalText(): Promise<string>;
  /** The tabs of all terminals, oldest first. */
  terminals(): Promise<TerminalTab[]>;
  typeInTerminal(text: string): Promise<void>;
  waitForTerminal(text: string | RegExp, timeoutMs?: number): Promise<void>;
  /** Runs a line in the terminal in front; its output comes back through a file, so whole. */
  shell(line: string, timeoutMs?: number): Promise<ShellResult>;

  statusItems(): Promise<StatusItem[]>;
  /** The status bar item whose id ends so, when it is there. */
  statusItem(idEnd: string): Promise<StatusItem | undefined>;
  waitForStatus(
    idEnd: string,
    isRight: (item: StatusItem) => boolean,
    timeoutMs?: number,
  ): Promise<StatusItem>;
  /** Hovers over an item and reads the text that shows. */
  statusTooltip(idEnd: string): Promise<string>;
  clickStatus(idEnd: string): Promise<void>;

  /** The texts of all notifications, those in the centre too, newest first. */
  notifications(): Promise<string[]>;
  /** Waits for a notification that holds the text, and presses one of its buttons. */
  clickNotification(text: string, button: string): Promise<void>;
  /** Opens the Problems view; each row's text: files, then their problems (what fits on the screen). */
  problems(): Promise<string[]>;
  /** The rows of the quick pick that is open. */
  quickPick(): Promise<string[]>;
  pick(label: string): Promise<void>;
  /** Trusts the workspace, by the trust editor's button. */
  trust(): Promise<void>;

  /**
   * Runs a function in the extension host, in an extension of its own beside the others: it gets `vscode` and
   * `require`, sees nothing of its surroundings, and gives JSON back.
   */
  host<Argument, Value>(body: HostFunction<Argument, Value>, argument: Argument): Promise<Value>;
  host<Value>(body: HostFunction<undefined, Value>): Promise<Value>;

  /** Changes a user setting, as the settings editor does: a file written behind it is noticed late, or not at all. */
  setSetting(name: string, value: unknown): Promise<void>;

  /** Saves a picture; its path. */
  screenshot(name: string): Promise<string>;
  /** Reloads the window, and waits as for a new one. */
  reload(): Promise<void>;
  /** What the page wrote to its console: errors and warnings. */
  console(): string;
  /** How it looked when it closed. */
  lastPicture(): Buffer | undefined;
  close(): Promise<void>;
}

/** The part used of VS Code's smoke test driver. */
interface Driver {
  whenWorkbenchRestored(): Promise<void>;
  getTerminalBuffer(selector: string): Promise<string[]>;
  writeInTerminal(selector: string, text: string): Promise<void>;
}

/** The part used of the DOM's HTMLElement; lists are read in one call, since any element may go meanwhile. */
interface PageElement {
  readonly id: string;
  readonly className: string;
  readonly innerText: string;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  querySelectorAll(selector: string): Iterable<PageElement>;
}

const TERMINAL = ".terminal-wrapper.active";
const ACTION_TIMEOUT_MS = 30_000;
const RESTORE_TIMEOUT_MS = 90_000;

/** Opens a window and waits until it is usable and its extensions' host runs. */
export async function openWorkbench(
  editor: Editor,
  browser: Browser,
  options: OpenOptions,
): Promise<Workbench> {
  const context = options.context ?? (await browser.newContext({ viewport: { width: 1400, height: 900 } }));
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const page = await context.newPage();
  let written = "";
  let picture: Buffer | undefined;
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") written += `[page] ${message.text()}\n`;
  });
  page.on("pageerror", (error) => (written += `[page] ${error.stack ?? error.message}\n`));
  page.on("dialog", (dialog) => void dialog.accept().catch(() => undefined));
  for (const [name, body] of Object.entries(options.expose ?? {})) await page.exposeFunction(name, body);

  const opened = whatToOpen(editor, options);
  const probes = join(editor.dir, "probes");
  let earlierHosts = readdirSync(probes);
  const address = new URL(editor.url);
  for (const [key, value] of Object.entries(opened)) address.searchParams.set(key, value);
  if (options.payload !== undefined) address.searchParams.set("payload", JSON.stringify(options.payload));

  const palette = page.locator(".quick-input-widget:visible");
  let areKeysBound = false;
  // Also when the editor reloads its window itself.
  page.on("domcontentloaded", () => (areKeysBound = false));
  /** A window reads its key bindings late: what is pressed before is lost. */
  const bindKeys = async (): Promise<void> => {
    if (areKeysBound || (await palette.count()) > 0) return;
    await until("a key opens the command palette", async () => {
      await workbench.press(keyOf("workbench.action.showCommands"));
      await palette.waitFor({ timeout: 3_000 });
      return true;
    });
    await page.keyboard.press("Escape");
    await palette.waitFor({ state: "hidden" });
    areKeysBound = true;
  };
  const keyOf = (command: string): string => {
    const bound = editor.keybindings.find((candidate) => candidate.command === command);
    if (bound === undefined) throw new Error(`Cannot run ${command}: name it in startEditor's \`commands\``);
    return bound.key;
  };
  const restored = async (): Promise<void> => {
    areKeysBound = false;
    await page.waitForFunction("typeof driver === 'object'", undefined, { timeout: RESTORE_TIMEOUT_MS });
    await page.evaluate(() => (globalThis as unknown as { driver: Driver }).driver.whenWorkbenchRestored());
  };
  const items = page.locator(".statusbar-item[id]:not([aria-hidden=true])");
  const notificationRows = page.locator(".notifications-center .notification-list-item");
  const quickRows = page.locator(".quick-input-widget .quick-input-list .monaco-list-row");

  const workbench: Workbench = {
    page,
    async press(key) {
      for (const press of playwrightKeys(key)) await page.keyboard.press(press);
    },
    async runCommand(command) {
      const key = keyOf(command);
      await bindKeys();
      await workbench.press(key);
    },
    async runFromPalette(title) {
      await workbench.runCommand("workbench.action.showCommands");
      await page.locator(".quick-input-widget input.input").fill(`>${title}`);
      await workbench.pick(title);
    },

    openTerminal: () => workbench.opensTerminal(() => workbench.runCommand("workbench.action.terminal.new")),
    async opensTerminal(open) {
      // The one that is in front stays there for a moment.
      await page.locator(".terminal-wrapper").evaluateAll((elements) => {
        for (const wrapper of elements as unknown as PageElement[]) wrapper.setAttribute("data-before", "");
      });
      const terminals = page.locator(".terminal-wrapper:not([data-before])");
      let openedAt = 0;
      await until("a new terminal shows its prompt", async () => {
        // Again when nothing came of it: right after trusting, extensions register anew.
        if ((await terminals.count()) === 0 && Date.now() - openedAt > 25_000) {
          openedAt = Date.now();
          await open();
        }
        const isInFront = (await page.locator(`${TERMINAL}:not([data-before])`).count()) > 0;
        return isInFront && (await workbench.terminalText()).trim() !== "";
      });
    },
    async terminalText() {
      const lines = await page.evaluate(
        (selector) => (globalThis as unknown as { driver: Driver }).driver.getTerminalBuffer(selector),
        TERMINAL,
      );
      return lines.join("\n").trimEnd();
    },
    // One terminal has its tab in the panel's title, several have a list.
    terminals: () =>
      page
        .locator(".single-terminal-tab:visible, .terminal-tabs-entry.has-text .monaco-icon-label")
        .evaluateAll((elements) =>
          (elements as unknown as PageElement[]).map((tab) => ({
            name: tab.innerText.trim(),
            isStale:
              tab.className.includes("decoration-iconBadge") ||
              [...tab.querySelectorAll(".codicon-warning")].length > 0,
          })),
        ),
    async typeInTerminal(text) {
      await page.evaluate(
        ([selector, typed]) =>
          (globalThis as unknown as { driver: Driver }).driver.writeInTerminal(selector, typed),
        [TERMINAL, text] as const,
      );
    },
    async waitForTerminal(text, timeoutMs = 60_000) {
      const has = (shown: string): boolean =>
        typeof text === "string" ? shown.includes(text) : text.test(shown);
      await until(`the terminal shows ${String(text)}`, async () => has(await workbench.terminalText()), {
        timeoutMs,
        seen: () => workbench.terminalText(),
      });
    },
    async shell(line, timeoutMs = 60_000) {
      const dir = mkdtempSync(join(editor.dir, "shell-"));
      // Sourced, so that the shell itself runs it and no long line is typed; the status file is renamed when whole.
      writeFileSync(
        join(dir, "run"),
        `{ ${line}\n} >'${dir}/out' 2>&1; echo $? >'${dir}/s'; mv '${dir}/s' '${dir}/status'\n`,
      );
      await workbench.typeInTerminal(`. '${dir}/run'\r`);
      const status = await until(
        `the terminal has run ${line}`,
        () => readFileSync(join(dir, "status"), "utf8"),
        {
          timeoutMs,
          seen: () => workbench.terminalText(),
        },
      );
      return { status: Number(status), stdout: readFileSync(join(dir, "out"), "utf8") };
    },

    statusItems: () =>
      items.evaluateAll((elements) =>
        (elements as unknown as PageElement[]).map((item) => ({
          id: item.id,
          text: item.innerText.trim(),
          icons: [...item.querySelectorAll(".codicon")].flatMap(
            (icon) => /codicon-([\w-]+)/.exec(icon.className)?.[1] ?? [],
          ),
          ariaLabel: item.getAttribute("aria-label") ?? "",
          kind: /\b(error|warning)-kind\b/.exec(item.className)?.[1] ?? "none",
        })),
      ),
    async statusItem(idEnd) {
      return (await workbench.statusItems()).find(({ id }) => id.endsWith(idEnd));
    },
    async waitForStatus(idEnd, isRight, timeoutMs = 60_000) {
      const right = async (): Promise<StatusItem | undefined> => {
        const item = await workbench.statusItem(idEnd);
        return item !== undefined && isRight(item) ? item : undefined;
      };
      const seen = (): Promise<unknown> => workbench.statusItems();
      return until(`the status item ${idEnd} is as expected: ${isRight.toString()}`, right, {
        timeoutMs,
        seen,
      });
    },
    async statusTooltip(idEnd) {
      await page.mouse.move(10, 10);
      await page.locator(`.statusbar-item[id$="${idEnd}"]`).hover();
      const hover = page.locator(".monaco-hover:visible").last();
      await hover.waitFor();
      const text = await hover.innerText();
      await page.mouse.move(10, 10);
      return text;
    },
    async clickStatus(idEnd) {
      await page.locator(`.statusbar-item[id$="${idEnd}"] a`).click();
    },

    async notifications() {
      const center = page.locator(".notifications-center:visible");
      await until("the notifications are shown", async () => {
        await workbench.runCommand("notifications.showList");
        await center.first().waitFor({ timeout: 3_000 });
        return true;
      });
      const texts = await page
        .locator(".notifications-center .notification-list-item-message")
        .allInnerTexts();
      await workbench.runCommand("notifications.hideList");
      return texts.map((text) => text.trim());
    },
    async clickNotification(text, button) {
      await until(`a notification says ${text}`, async () =>
        (await workbench.notifications()).some((message) => message.includes(text)),
      );
      await workbench.runCommand("notifications.showList");
      const row = notificationRows.filter({ hasText: text }).first();
      await row.hover();
      await row.getByRole("button", { name: button, exact: true }).click();
    },
    async problems() {
      const panel = page.locator(".markers-panel");
      // Pressed again, the key would close the view.
      if (!(await panel.isVisible())) await workbench.runCommand("workbench.actions.view.problems");
      await panel.waitFor();
      const rows = await panel.locator(".monaco-list-row").allInnerTexts();
      return rows.map((text) => text.replaceAll(/\s+/g, " ").trim());
    },
    quickPick: () =>
      quickRows.evaluateAll((rows) =>
        (rows as unknown as PageElement[]).map((row) =>
          ([...row.querySelectorAll(".label-name")][0]?.innerText ?? "").trim(),
        ),
      ),
    async pick(label) {
      await until(
        `the quick pick shows ${label}`,
        async () => (await workbench.quickPick()).includes(label),
        {
          seen: () => workbench.quickPick(),
        },
      );
      // By its text, not its place: rows move while the list filters.
      const whole = new RegExp(`^\\s*${label.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`);
      await quickRows
        .filter({ has: page.locator(".label-name", { hasText: whole }) })
        .first()
        .click();
    },
    async trust() {
      await workbench.runCommand("workbench.trust.manage");
      const button = page.locator(".workspace-trust-editor").getByRole("button", { name: /^Trust$/ });
      await until("the workspace is trusted", async () => {
        const isRestricted = (await workbench.statusItem("status.workspaceTrust")) !== undefined;
        // Pressed again when nothing came of it: the trust editor renders itself more than once.
        if (isRestricted) await button.click({ timeout: 5_000 });
        return !isRestricted;
      });
    },

    host: <Argument, Value>(body: HostFunction<Argument, Value>, argument?: Argument) =>
      callHost<Argument, Value>(probes, Object.values(opened), body, argument as Argument, earlierHosts),
    setSetting: (name, value) =>
      workbench.host(
        async ({ vscode }, [key, changed]) => {
          await vscode.workspace.getConfiguration().update(key, changed, vscode.ConfigurationTarget.Global);
        },
        [name, value] as const,
      ),
    async screenshot(name) {
      const path = shotPath(name);
      await page.screenshot({ path });
      return path;
    },
    async reload() {
      earlierHosts = readdirSync(probes);
      await page.reload({ timeout: RESTORE_TIMEOUT_MS });
      await restored();
    },
    console: () => written,
    lastPicture: () => picture,
    async close() {
      if (page.isClosed()) return;
      picture = await page.screenshot({ timeout: 5_000 }).catch(() => undefined);
      if (options.context === undefined) await context.close();
      else await page.close();
    },
    [Symbol.asyncDispose]: () => workbench.close(),
  };
  try {
    await page.goto(address.href, { timeout: RESTORE_TIMEOUT_MS });
    await restored();
    return workbench;
  } catch (error) {
    const path = await workbench.screenshot("window does not open").catch(() => "none");
    throw new Error(`Cannot open a window (picture: ${path})\n${written}`, { cause: error });
  }
}

/** `folder` or `workspace` of the window's address. */
function whatToOpen(
  editor: Editor,
  { folders = [], workspace }: OpenOptions,
): Readonly<Record<string, string>> {
  if (workspace !== undefined) return { workspace };
  if (folders.length < 2) return folders[0] === undefined ? { ew: "true" } : { folder: folders[0] };
  const file = join(mkdtempSync(join(editor.dir, "workspace-")), "test.code-workspace");
  writeFileSync(file, JSON.stringify({ folders: folders.map((path) => ({ path })) }));
  return { workspace: file };
}
