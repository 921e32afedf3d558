import { existsSync } from "node:fs";
import { makeClosure, makeViewModel } from "../../vscode-extension/src/view/viewModel.ts";
import { manyVariables, sampleClosure, sampleReport } from "../editor/viewSamples.ts";
import { launchChromium, openView, STRINGS, type View } from "../editor/webviewPage.ts";
import { median } from "./measure.ts";

const CHROMIUM = process.env["DEVSHELL_EDITOR_CHROMIUM"] ?? "/usr/bin/chromium";
const RUNS = 5;
const STEPS = 20;

/** The environment view's page with more than it will ever have to show; what its thread computes. */
export async function benchView(): Promise<void> {
  if (!existsSync(CHROMIUM)) {
    console.log(`skipped: there is no ${CHROMIUM}; DEVSHELL_EDITOR_CHROMIUM names another Chromium`);
    return;
  }
  const browser = await launchChromium(CHROMIUM);
  try {
    const rounds: Record<string, number>[] = [];
    for (let run = 0; run < RUNS; run++)
      rounds.push({
        ...(await variableTimes(() =>
          openView(browser, { model: modelOf(10_000), waits: true, width: 1100, height: 700 }),
        )),
        ...(await closureTimes(() => openView(browser, { model: modelOf(10), state: { tab: "closure" } }))),
      });
    for (const name of Object.keys(rounds[0] ?? {}))
      console.log(`${name}: ${median(rounds.map((round) => round[name] ?? Number.NaN)).toFixed(1)} ms`);
  } finally {
    await browser.close();
  }
}

async function variableTimes(open: () => Promise<View>): Promise<Record<string, number>> {
  await using view = await open();
  const { page } = view;
  const paint = await computedMs(view, () => page.evaluate("sendFirst()"));
  const word = "VARIABLE_09";
  await page.keyboard.press("Control+f");
  const letters = await computedMs(view, () => page.keyboard.type(word));
  await page.getByRole("textbox").fill("");
  await page.locator(".grid-body").first().hover();
  const scrolled = await computedMs(view, async () => {
    for (let step = 0; step < STEPS; step += 1) await page.mouse.wheel(0, 3000);
  });
  return {
    "10,000 variables, first paint": paint,
    "10,000 variables, a letter in the filter": letters / word.length,
    "10,000 variables, a step of scrolling": scrolled / STEPS,
  };
}

async function closureTimes(open: () => Promise<View>): Promise<Record<string, number>> {
  await using view = await open();
  const { page } = view;
  const closure = makeClosure(sampleClosure(2000));
  const first = await computedMs(view, async () => {
    await view.send({ type: "closure", closure: { state: "ready", closure } });
    await page.getByRole("option").first().waitFor();
  });
  await page.getByRole("listbox").focus();
  const moved = await computedMs(view, async () => {
    for (let step = 0; step < STEPS; step += 1) await page.keyboard.press("ArrowRight");
  });
  const filtered = await computedMs(view, () => page.getByRole("textbox").fill("package"));
  return {
    "2,000 store paths, first treemap": first,
    "2,000 store paths, a filter": filtered,
    "2,000 store paths, a step to the next": moved / STEPS,
  };
}

function modelOf(count: number): ReturnType<typeof makeViewModel> {
  return makeViewModel(
    {
      folder: "project",
      selection: [],
      state: { kind: "ready" },
      report: sampleReport({ variables: manyVariables(count) }),
      notices: [],
      formerSecrets: [],
      changes: undefined,
    },
    STRINGS,
  );
}

/** What the page's thread computed meanwhile, not the time that passed: others use the machine too. */
async function computedMs({ page }: View, act: () => Promise<unknown>): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const total = async (): Promise<number> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN);
  };
  const before = await total();
  await act();
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
  const spent = (await total()) - before;
  await session.detach();
  return spent;
}
