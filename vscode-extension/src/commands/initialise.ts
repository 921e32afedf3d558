import { existsSync } from "node:fs";
import { join } from "node:path";
import { l10n, Uri, window, workspace, type WorkspaceFolder } from "vscode";
import type { CliResult, Services } from "../model.ts";
import { parseTemplates } from "./templateList.ts";

const TIMEOUT_MS = 60_000;

/** `devshell.initialise`: starts a project from a template of `devshell init`; writes over nothing unasked. */
export async function initialise(folder: WorkspaceFolder, services: Services): Promise<void> {
  const run = (args: readonly string[]): Promise<CliResult> =>
    services.cli.run({ folder, args: ["init", ...args], timeoutMs: TIMEOUT_MS });
  try {
    const listed = await run([]);
    const templates = parseTemplates(listed.stdout);
    if (templates.length === 0) throw new Error(firstLine(listed));
    const chosen = await window.showQuickPick(
      templates.map(({ name, summary }) => ({ label: name, description: summary })),
      { title: l10n.t("Devshell: create a spec in {0}", folder.name), matchOnDescription: true },
    );
    if (chosen === undefined) return;
    let written = await run([chosen.label]);
    if (written.status !== 0 && written.stderr.includes("--force")) {
      const overwrite = l10n.t("Write Over Them");
      const options = { modal: true, detail: firstLine(written) };
      const question = l10n.t("Some files of the template are already there.");
      if ((await window.showWarningMessage(question, options, overwrite)) !== overwrite) return;
      written = await run([chosen.label, "--force"]);
    }
    if (written.status !== 0) throw new Error(firstLine(written));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    services.log.error(message);
    void window.showErrorMessage(message);
    return;
  }
  const spec = join(folder.uri.fsPath, "devshell.yaml");
  if (existsSync(spec)) await window.showTextDocument(await workspace.openTextDocument(Uri.file(spec)));
  await services.environments.reload(folder);
}

function firstLine({ stderr, status }: CliResult): string {
  return (
    stderr
      .split("\n")
      .find((line) => line.trim() !== "")
      ?.trim() ?? l10n.t("devshell init ended with status {0}", status ?? -1)
  );
}
