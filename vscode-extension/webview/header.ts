import type { ViewModel } from "../src/view/viewMessages.ts";
import type { ViewStrings } from "../src/view/viewStrings.ts";
import { element, icon, iconButton, replaceChildren, textButton } from "./dom.ts";
import { post } from "./host.ts";
import { format, visible, visibleLines } from "./text.ts";

/** The environment's name and state, what can be done about it, and what went wrong. */
export class Header {
  readonly element: HTMLElement;
  private readonly strings: ViewStrings;
  private readonly onHelp: () => void;
  private shown = "";

  constructor(strings: ViewStrings, onHelp: () => void) {
    this.strings = strings;
    this.onHelp = onHelp;
    this.element = element("header", { class: "header" });
  }

  show(model: ViewModel): void {
    // Progress comes many times a second: the buttons must not be replaced under the pointer.
    const { progress, ...state } = model.state;
    const facts = JSON.stringify([
      model.name,
      model.folder,
      model.selection,
      state,
      model.spec,
      model.warnings,
    ]);
    if (facts === this.shown) {
      this.showProgress(progress);
      return;
    }
    this.shown = facts;
    const focused =
      document.activeElement?.closest(".header") === this.element ? document.activeElement : null;
    const label = focused?.getAttribute("data-command");
    replaceChildren(this.element, this.titleRow(model), ...this.banners(model));
    this.showProgress(progress);
    if (focused !== null) {
      const same = this.element.querySelector<HTMLElement>(`[data-command="${label ?? "reload"}"]`);
      (same ?? this.element.querySelector<HTMLElement>("button"))?.focus();
    }
  }

  private titleRow(model: ViewModel): HTMLElement {
    const { strings } = this;
    const { state, spec } = model;
    const isBusy = state.kind === "loading" || state.kind === "stale";
    const canReload = state.kind !== "untrusted" && state.kind !== "disabled";
    return element(
      "div",
      { class: "title-row" },
      element("h1", { dir: "auto" }, visible(model.name ?? model.folder)),
      model.selection !== "" && element("code", { class: "badge" }, visible(model.selection)),
      model.isPure && element("span", { class: "badge", title: strings.pureHint }, strings.pure),
      element(
        "span",
        {
          class: `state state-${state.kind}`,
          "aria-label": format(strings.environmentState, state.text),
          role: "img",
        },
        element("span", { class: "dot", "aria-hidden": "true" }),
        element("span", { class: "state-text" }, state.text),
      ),
      element("span", { class: "progress-text", "aria-hidden": "true" }),
      element("span", { class: "spring" }),
      spec?.canOpen === true &&
        element(
          "button",
          {
            type: "button",
            class: "link spec",
            "data-command": "openSpec",
            "aria-label": format(strings.openSpec, spec.text),
            title: format(strings.openSpec, spec.text),
            on: { click: () => post({ type: "command", command: "openSpec" }) },
          },
          visible(spec.text),
        ),
      spec?.canOpen === false && element("span", { class: "dim spec" }, visible(spec.text)),
      iconButton("keyboard", strings.shortcuts, this.onHelp, { "data-command": "help" }),
      canReload &&
        (isBusy
          ? iconButton("stop", strings.cancel, () => post({ type: "command", command: "cancel" }), {
              "data-command": "reload",
            })
          : iconButton("reload", strings.reload, () => post({ type: "command", command: "reload" }), {
              "data-command": "reload",
            })),
    );
  }

  private showProgress(progress: ViewModel["state"]["progress"]): void {
    const text = this.element.querySelector(".progress-text");
    if (text !== null) text.textContent = visible(progress?.text ?? "");
    this.element.querySelector(".progress")?.remove();
    if (progress === undefined) return;
    const bar = element("div", {
      class: progress.fraction === undefined ? "progress endless" : "progress",
      role: "progressbar",
      "aria-label": this.strings.stateLoading,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": progress.fraction === undefined ? undefined : Math.round(progress.fraction * 100),
    });
    const part = element("span", { class: "progress-part" });
    if (progress.fraction !== undefined) part.style.width = `${progress.fraction * 100}%`;
    bar.append(part);
    this.element.append(bar);
  }

  private banners(model: ViewModel): (HTMLElement | undefined)[] {
    const { strings } = this;
    const command = (label: string, name: Parameters<typeof post>[0]): HTMLElement =>
      textButton(label, () => post(name));
    const hint = (text: string, ...actions: HTMLElement[]): HTMLElement =>
      element(
        "div",
        { class: "banner" },
        element("span", {}, text),
        element("span", { class: "banner-actions" }, ...actions),
      );
    const { state } = model;
    const warnings =
      model.warnings.length === 0
        ? undefined
        : element(
            "div",
            { class: "banner banner-warning", role: "group", "aria-label": strings.warnings },
            icon("warning"),
            element("ul", {}, ...model.warnings.map((text) => element("li", {}, visible(text)))),
          );
    switch (state.kind) {
      case "none":
        return [
          hint(
            strings.stateNoneHint,
            command(strings.initialise, { type: "command", command: "initialise" }),
          ),
        ];
      case "untrusted":
        return [
          hint(
            strings.stateUntrustedHint,
            command(strings.manageTrust, { type: "command", command: "manageTrust" }),
          ),
        ];
      case "disabled":
        return [
          hint(strings.stateDisabledHint, command(strings.enable, { type: "command", command: "enable" })),
        ];
      case "failed":
        return [this.failure(model), warnings];
      default:
        return [warnings];
    }
  }

  private failure({ state, reportId }: ViewModel): HTMLElement {
    const { strings } = this;
    const error = state.error;
    return element(
      "div",
      { class: "banner banner-error", role: "group", "aria-label": state.text },
      icon("warning"),
      element(
        "div",
        { class: "failure" },
        element("pre", {}, visibleLines(error?.message ?? state.text)),
        error?.hint !== undefined && element("p", {}, visibleLines(error.hint)),
        reportId === undefined && element("p", { class: "dim" }, strings.stateFailedHint),
        element(
          "span",
          { class: "banner-actions" },
          error?.where !== undefined &&
            textButton(format(strings.openError, visible(error.where)), () =>
              post({ type: "command", command: "openError" }),
            ),
          textButton(strings.showLog, () => post({ type: "command", command: "showLog" })),
        ),
      ),
    );
  }
}
