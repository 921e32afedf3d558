// webviewPage - the environment view's page in Chromium alone, with the page's real policy and a stand-in for VS Code.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";
import type { FromView, ToView, ViewModel } from "../../vscode-extension/src/view/viewMessages.ts";
import { makeViewPage } from "../../vscode-extension/src/view/viewPage.ts";
import { makeViewStrings } from "../../vscode-extension/src/view/viewStrings.ts";

const EXTENSION = resolve(import.meta.dirname, "../../vscode-extension");
const ORIGIN = "https://view.invalid";

export const STRINGS = makeViewStrings({ t: (message) => message });

export type Theme = "dark" | "light" | "highContrast" | "highContrastLight";
/** The variables that VS Code gives webviews, as measured in the editor, by theme. */
const THEMES = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures/themes.json"), "utf8"),
) as Readonly<Record<Theme, Readonly<Record<string, string>>>>;
const BODY_CLASS: Readonly<Record<Theme, string>> = {
  dark: "vscode-dark",
  light: "vscode-light",
  highContrast: "vscode-high-contrast",
  highContrastLight: "vscode-high-contrast vscode-high-contrast-light",
};

export interface ViewOptions {
  readonly theme?: Theme | undefined;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** What the view saved before it was hidden. */
  readonly state?: unknown;
  readonly reducedMotion?: boolean | undefined;
  /** Given as soon as the page is ready; undefined: the test sends it. */
  readonly model?: ViewModel | undefined;
  /** The model is given once the page runs `sendFirst()`. */
  readonly waits?: boolean | undefined;
}

export interface View extends AsyncDisposable {
  readonly page: Page;
  /** All that the page said so far. */
  messages(): Promise<readonly FromView[]>;
  send(message: ToView): Promise<void>;
  /** What it keeps while hidden. */
  state(): Promise<unknown>;
  /** Breaches of the policy, and uncaught errors. */
  readonly errors: readonly string[];
}

export async function launchChromium(executablePath: string): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

let bundle: Promise<ReadonlyMap<string, string>> | undefined;

/** As scripts/buildExtension.ts makes it, from the sources as they are now. */
async function bundled(): Promise<ReadonlyMap<string, string>> {
  const { outputFiles } = await build({
    entryPoints: { webview: join(EXTENSION, "webview/main.ts") },
    bundle: true,
    minify: true,
    write: false,
    outdir: "/",
    format: "iife",
    platform: "browser",
    target: "chrome132",
    logLevel: "warning",
  });
  return new Map(outputFiles.map(({ path, text }) => [path, text]));
}

export async function openView(browser: Browser, options: ViewOptions = {}): Promise<View> {
  const { theme = "dark", width = 1100, height = 700, state, model } = options;
  bundle ??= bundled();
  const files = await bundle;
  const context = await browser.newContext({
    viewport: { width, height },
    reducedMotion: options.reducedMotion === true ? "reduce" : "no-preference",
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  const html = makeViewPage({
    scriptUri: `${ORIGIN}/webview.js`,
    styleUri: `${ORIGIN}/webview.css`,
    cspSource: ORIGIN,
    nonce: "bm9uY2U=",
    locale: "en",
    title: "Devshell",
  });
  await page.route(`${ORIGIN}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    const body = files.get(pathname);
    const contentType = pathname.endsWith(".js") ? "text/javascript" : "text/css";
    await (body === undefined
      ? route.fulfill({ contentType: "text/html", body: html })
      : route.fulfill({ contentType, body }));
  });
  await page.addInitScript(standIn, {
    variables: THEMES[theme],
    bodyClass: BODY_CLASS[theme],
    state,
    sendsFirst: options.waits !== true,
    first:
      model === undefined
        ? []
        : [
            { type: "init", strings: STRINGS, locale: "en", folder: "file:///project" },
            { type: "model", model },
          ],
  });
  await page.goto(`${ORIGIN}/`);
  return {
    page,
    errors,
    messages: async () => await page.evaluate(() => (globalThis as unknown as StandIn).messages),
    send: async (message) => {
      await page.evaluate((data) => (globalThis as unknown as StandIn).postMessage(data, "*"), message);
    },
    state: async () => await page.evaluate(() => (globalThis as unknown as StandIn).state),
    [Symbol.asyncDispose]: async () => await context.close(),
  };
}

interface StandIn {
  messages: FromView[];
  state: unknown;
  acquireVsCodeApi: () => unknown;
  sendFirst: () => void;
  /** The window's own. */
  postMessage(message: unknown, origin: string): void;
}

/** Runs in the page, before its script. */
function standIn(given: {
  readonly variables: Readonly<Record<string, string>>;
  readonly bodyClass: string;
  readonly state: unknown;
  readonly first: readonly unknown[];
  readonly sendsFirst: boolean;
}): void {
  const scope = globalThis as unknown as StandIn;
  scope.messages = [];
  scope.state = given.state;
  scope.sendFirst = () => {
    for (const data of given.first) scope.postMessage(data, "*");
  };
  scope.acquireVsCodeApi = () => ({
    postMessage: (message: FromView) => {
      scope.messages.push(message);
      if (message.type !== "ready") return;
      if (given.sendsFirst) scope.sendFirst();
    },
    getState: () => scope.state,
    setState: (value: unknown) => {
      // As VS Code does: what cannot be written as JSON is lost.
      scope.state = JSON.parse(JSON.stringify(value));
    },
  });
  const { document, MutationObserver } = scope as unknown as PageScope;
  // As soon as there are such elements, and before the page's own script.
  const observer = new MutationObserver(() => {
    for (const [name, value] of Object.entries(given.variables))
      document.documentElement?.style.setProperty(name, value);
    if (document.body === null) return;
    document.body.className = given.bodyClass;
    observer.disconnect();
  });
  observer.observe(document, { childList: true, subtree: true });
}

/** As much of the DOM as is used here: tests are compiled without its types. */
interface PageScope {
  readonly document: {
    readonly body: { className: string } | null;
    readonly documentElement: { readonly style: { setProperty(name: string, value: string): void } } | null;
  };
  readonly MutationObserver: new (changed: () => void) => {
    observe(target: unknown, options: { readonly childList: true; readonly subtree: true }): void;
    disconnect(): void;
  };
}
