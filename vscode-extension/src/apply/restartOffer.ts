import { l10n, window, workspace } from "vscode";
import type { HostChange } from "./extensionHost.ts";
import type { Services } from "../model.ts";
import { QuestionTurns } from "./questionTurns.ts";
import { restartExtensions } from "./restartExtensions.ts";
import { decideRestart, type RestartMemory, type RestartSetting } from "./restartDecision.ts";

export interface RestartOffer {
  /** To be called after each patch of the extension host's environment. */
  changed(change: HostChange): void;
}

const MEMORY = "restart";
/** The answer "Always" or "Never": kept here, since settings are the user's to write. */
const ANSWER = "restart answer";

/** Offers to restart the other extensions when their environment is another than the one they started with. */
export function registerRestartOffer({ context, log }: Pick<Services, "context" | "log">): RestartOffer {
  const state = context.workspaceState;
  const remember = (memory: RestartMemory): Thenable<void> => state.update(MEMORY, memory);

  const questions = new QuestionTurns(async (name: string) => {
    const once = l10n.t("Restart");
    const always = l10n.t("Always");
    const never = l10n.t("Never");
    const answer = await window.showInformationMessage(
      l10n.t("The environment {0} has changed. Restart the extensions so that they use it?", name),
      once,
      always,
      never,
    );
    if (answer === always || answer === never)
      await state.update(ANSWER, answer === always ? "always" : "never");
    if (answer === once || answer === always) await restartExtensions();
    return answer === undefined ? "this" : "all";
  });

  context.subscriptions.push(
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("devshell.restartExtensions")) void state.update(ANSWER, undefined);
    }),
  );

  const follow = async ({ report, isFromCache, names }: HostChange): Promise<void> => {
    if (report === undefined) {
      // Taken away by the user: what comes next is a change again.
      questions.forget();
      await remember({ ...state.get<RestartMemory>(MEMORY), id: undefined });
      return;
    }
    const memory = state.get<RestartMemory>(MEMORY) ?? {};
    const nowMs = Date.now();
    const decision = decideRestart({
      id: report.id,
      isFromCache,
      isChanged: names.length > 0,
      setting: settingOf(state.get<RestartSetting>(ANSWER)),
      memory,
      nowMs,
    });
    if (decision === "nothing") return;
    // Written first: after the restart nobody would remember.
    await remember({ id: report.id, automaticMs: decision === "restart" ? nowMs : memory.automaticMs });
    log.info(`${report.name}: ${decision === "ask" ? "offers to restart" : "restarts"} the extensions`);
    await (decision === "restart" ? restartExtensions() : questions.ask(report.name));
  };

  return {
    changed(change) {
      follow(change).catch((error: unknown) => log.error(String(error)));
    },
  };
}

function settingOf(answer: RestartSetting | undefined): RestartSetting {
  const setting = workspace.getConfiguration("devshell").get<string>("restartExtensions", "ask");
  if (setting === "always" || setting === "never") return setting;
  return answer ?? "ask";
}
