import { useApp, useInput, useWindowSize, type Key } from "ink";
import { useRef, useState } from "react";
import { BuildTree } from "../tui/BuildTree.tsx";
import { browserRows } from "./browserRows.ts";
import { START, reduceBrowser, type BrowserAction } from "./browserState.ts";
import type { ClosureModel } from "./closureModel.ts";

const PAGE = 15;

/** A closure to walk about in, path by path. */
export function ClosureBrowser({ model }: { readonly model: ClosureModel }) {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const [state, setState] = useState(START);
  // Keys may come faster than the screen is drawn, several at once.
  const latest = useRef(START);
  useInput((input, key) => {
    for (const typed of input === "" ? [""] : input) {
      const action = latest.current.isFiltering ? filterAction(typed, key) : actionOf(typed, key);
      if (action === "quit") return exit();
      if (action !== undefined) latest.current = reduceBrowser(model, latest.current, action);
    }
    setState(latest.current);
  });
  // The last line stays free: filled, the terminal would scroll.
  return <BuildTree rows={browserRows(model, state, { columns, rows: rows - 1 })} />;
}

function actionOf(input: string, key: Key): BrowserAction | "quit" | undefined {
  if (key.upArrow || input === "k") return { kind: "move", by: -1 };
  if (key.downArrow || input === "j") return { kind: "move", by: 1 };
  if (key.pageUp) return { kind: "move", by: -PAGE };
  if (key.pageDown || input === " ") return { kind: "move", by: PAGE };
  if (input === "g") return { kind: "move", by: -Infinity };
  if (input === "G") return { kind: "move", by: Infinity };
  if (key.rightArrow || key.return || input === "l") return { kind: "enter", direction: "needs" };
  if (input === "r") return { kind: "enter", direction: "needed by" };
  if (key.leftArrow || key.backspace || key.escape || input === "h") return { kind: "back" };
  if (input === "s") return { kind: "sort" };
  if (input === "/") return { kind: "startFilter" };
  return input === "q" ? "quit" : undefined;
}

function filterAction(input: string, key: Key): BrowserAction | undefined {
  if (key.return) return { kind: "endFilter", isKept: true };
  if (key.escape) return { kind: "endFilter", isKept: false };
  if (key.backspace || key.delete) return { kind: "erase" };
  return input === "" || key.ctrl || key.meta ? undefined : { kind: "type", text: input };
}
