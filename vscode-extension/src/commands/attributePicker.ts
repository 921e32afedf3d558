import { l10n, QuickPickItemKind, window, type QuickPickItem } from "vscode";
import type { AttributesReport } from "../../../cli/protocol/types.ts";
import { parseSelection, selectionText } from "../cli/commandLine.ts";
import type { FolderEnvironment, Services } from "../model.ts";

interface SelectionItem extends QuickPickItem {
  readonly selection?: readonly string[];
}

const TIMEOUT_MS = 120_000;

/**
 * Asks for one of the spec's attributes, or for anything else that selects an environment, e.g. `<debian> -A pan`.
 * @returns the words for the CLI; `[]`: the spec's own environment; `undefined`: nothing was chosen
 */
export async function pickSelection(
  environment: FolderEnvironment,
  services: Services,
): Promise<readonly string[] | undefined> {
  const closing = new AbortController();
  const picker = window.createQuickPick<SelectionItem>();
  try {
    picker.title = l10n.t("Devshell: environment of {0}", environment.folder.name);
    picker.placeholder = l10n.t("An attribute, or what you would give devshell, e.g. <debian> -A pan");
    picker.matchOnDescription = true;
    picker.ignoreFocusOut = true;
    picker.busy = true;
    let attributes: AttributesReport["attributes"] = [];
    let note: string | undefined;
    const show = (): void => {
      picker.items = itemsOf(environment, attributes, note, picker.value);
    };
    show();
    picker.onDidChangeValue(show);
    const chosen = new Promise<readonly string[] | undefined>((resolve) => {
      picker.onDidAccept(() => {
        const [item] = picker.selectedItems;
        if (item?.selection !== undefined) resolve(item.selection);
      });
      picker.onDidHide(() => resolve(undefined));
    });
    picker.show();
    void loadAttributes(environment, services, closing.signal).then((loaded) => {
      if (closing.signal.aborted) return;
      picker.busy = false;
      if (typeof loaded === "string") note = loaded;
      else {
        attributes = loaded.attributes;
        if (loaded.isTruncated) note = l10n.t("There are more: type a name");
      }
      show();
    });
    return await chosen;
  } finally {
    closing.abort();
    picker.dispose();
  }
}

/** @returns what went wrong, as text, where there is nothing to list */
async function loadAttributes(
  { folder }: FolderEnvironment,
  { cli, log }: Services,
  signal: AbortSignal,
): Promise<AttributesReport | string> {
  try {
    const result = await cli.run({ folder, args: ["attributes", "--json"], signal, timeoutMs: TIMEOUT_MS });
    const report = attributesOf(result.stdout);
    if (report !== undefined) return report;
    log.warn(`devshell attributes: status ${result.status}: ${result.stderr}`);
    return l10n.t("The attributes cannot be listed: the log says why");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function itemsOf(
  { selection }: FolderEnvironment,
  attributes: AttributesReport["attributes"],
  note: string | undefined,
  typed: string,
): SelectionItem[] {
  const current = selectionText(selection);
  const mark = (words: readonly string[]): { description?: string } =>
    selectionText(words) === current ? { description: l10n.t("selected") } : {};
  const items: SelectionItem[] = [
    { label: l10n.t("$(package) The spec's own environment"), selection: [], ...mark([]) },
  ];
  const isListed = attributes.some(({ name }) => name === typed.trim());
  const free = isListed ? undefined : parseSelection(typed);
  if (free !== undefined && free.length > 0)
    items.unshift({
      label: `$(terminal) devshell ${selectionText(free)}`,
      selection: free,
      alwaysShow: true,
    });
  if (
    selection.length > 0 &&
    !(selection[0] === "-A" && attributes.some(({ name }) => name === selection[1]))
  )
    items.push({ label: current, selection, ...mark(selection) });
  if (attributes.length > 0) items.push({ label: l10n.t("Attributes"), kind: QuickPickItemKind.Separator });
  for (const { name, kind, description } of attributes) {
    if (kind === "other") continue;
    const words = ["-A", name];
    items.push({
      label: name,
      selection: words,
      ...(description === undefined ? {} : { detail: description.replace(/\s+/g, " ").slice(0, 200) }),
      ...mark(words),
    });
  }
  if (note !== undefined) items.push({ label: `$(info) ${note}`, alwaysShow: true });
  return items;
}

/** The report on standard output; `undefined` where there is none that can be read. */
function attributesOf(stdout: string): AttributesReport | undefined {
  try {
    const report = JSON.parse(stdout) as Partial<AttributesReport> | null;
    return report?.protocol === 1 && Array.isArray(report.attributes)
      ? (report as AttributesReport)
      : undefined;
  } catch {
    return undefined;
  }
}
