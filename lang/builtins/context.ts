import type { ContextElement } from "../host.ts";
import {
  AttrSet,
  NO_POS,
  coerceToString,
  evalError,
  forceAttrs,
  forceBool,
  forceList,
  forceString,
  forceStringNoContext,
  forceStringValue,
  makeString,
  quoteAttrName,
  type Runtime,
  type Slot,
} from "../value/index.ts";
import { define1, define2, failure, type Definition } from "./define.ts";
import { isStorePath } from "./storePaths.ts";

export function contextBuiltins(runtime: Runtime): readonly Definition[] {
  const coerce = (slot: Slot, context: Set<ContextElement>, name: string): string =>
    coerceToString(
      runtime,
      slot,
      context,
      NO_POS,
      `while evaluating the argument passed to builtins.${name}`,
    );
  return [
    define1("hasContext", "s", "Whether a string refers to store paths.", (_, s) => {
      const value = forceStringValue(
        s,
        NO_POS,
        "while evaluating the argument passed to builtins.hasContext",
      );
      return typeof value !== "string";
    }),
    define1("unsafeDiscardStringContext", "s", "A string without its context.", (_, s) =>
      coerce(s, new Set(), "unsafeDiscardStringContext"),
    ),
    define1(
      "unsafeDiscardOutputDependency",
      "s",
      "A string that refers to derivation files only as files, not with all their outputs.",
      (_, s) => {
        const context = new Set<ContextElement>();
        const text = coerce(s, context, "unsafeDiscardOutputDependency");
        const plain = [...context].map((element) => (element.startsWith("=") ? element.slice(1) : element));
        return makeString(text, new Set(plain));
      },
    ),
    define1(
      "addDrvOutputDependencies",
      "s",
      "A string that refers to a derivation file with all its outputs.",
      (_, s) => {
        const context = new Set<ContextElement>();
        const text = coerce(s, context, "addDrvOutputDependencies");
        const [element] = context;
        if (context.size !== 1 || element === undefined)
          throw failure(`context of string '${text}' must have exactly one element, but has ${context.size}`);
        if (element.startsWith("=")) return makeString(text, context);
        if (element.startsWith("!"))
          throw failure(
            `\`addDrvOutputDependencies\` can only act on derivations, not on a derivation output such as '${element.slice(1, element.indexOf("!", 1))}'`,
          );
        if (!element.endsWith(".drv")) throw failure(`path '${element}' is not a derivation`);
        return makeString(text, new Set([`=${element}`]));
      },
    ),
    define1("getContext", "s", "The context of a string, as a set of store paths.", (_, s) => {
      const context = new Set<ContextElement>();
      forceString(s, NO_POS, "while evaluating the argument passed to builtins.getContext", context);
      return contextValue(context);
    }),
    define2(
      "appendContext",
      "s context",
      "A string with more context, in the form `getContext` gives.",
      (_, s, additions) => {
        const context = new Set<ContextElement>();
        const text = forceString(
          s,
          NO_POS,
          "while evaluating the first argument passed to builtins.appendContext",
          context,
        );
        const set = forceAttrs(
          additions,
          NO_POS,
          "while evaluating the second argument passed to builtins.appendContext",
        );
        addContext(runtime, set, context);
        return makeString(text, context);
      },
    ),
  ];
}

interface ContextInfo {
  isPath: boolean;
  hasAllOutputs: boolean;
  readonly outputs: string[];
}

function contextValue(context: ReadonlySet<ContextElement>): AttrSet {
  const infos = new Map<string, ContextInfo>();
  const infoOf = (path: string): ContextInfo => {
    let info = infos.get(path);
    if (info === undefined) infos.set(path, (info = { isPath: false, hasAllOutputs: false, outputs: [] }));
    return info;
  };
  for (const element of [...context].sort()) {
    if (element.startsWith("=")) infoOf(element.slice(1)).hasAllOutputs = true;
    else if (element.startsWith("!")) {
      const end = element.lastIndexOf("!");
      infoOf(element.slice(end + 1)).outputs.push(element.slice(1, end));
    } else infoOf(element).isPath = true;
  }
  const values = new Map<string, Slot>();
  for (const [path, info] of infos) {
    const value = new Map<string, Slot>();
    if (info.isPath) value.set("path", true);
    if (info.hasAllOutputs) value.set("allOutputs", true);
    if (info.outputs.length > 0) value.set("outputs", info.outputs.sort());
    values.set(path, AttrSet.fromMap(value));
  }
  return AttrSet.fromMap(values);
}

function addContext(runtime: Runtime, additions: AttrSet, context: Set<ContextElement>): void {
  additions.forEachSorted((path, slot, pos) => {
    if (!isStorePath(runtime.host.storeDir, path))
      throw evalError("eval", `context key '${quoteAttrName(path)}' is not a store path`, pos);
    runtime.host.ensurePath(path);
    const info = forceAttrs(slot, pos, "while evaluating the value of a string context");
    const isDerivationPath = path.endsWith(".drv");
    const isPath = info.get("path");
    if (
      isPath !== undefined &&
      forceBool(isPath, info.posOf("path"), "while evaluating the `path` attribute of a string context")
    )
      context.add(path);
    const allOutputs = info.get("allOutputs");
    if (
      allOutputs !== undefined &&
      forceBool(
        allOutputs,
        info.posOf("allOutputs"),
        "while evaluating the `allOutputs` attribute of a string context",
      )
    ) {
      if (!isDerivationPath)
        throw evalError(
          "eval",
          `tried to add all-outputs context of ${quoteAttrName(path)}, which is not a derivation, to a string`,
          pos,
        );
      context.add(`=${path}`);
    }
    const outputs = info.get("outputs");
    if (outputs === undefined) return;
    const outputsPos = info.posOf("outputs");
    const names = forceList(
      outputs,
      outputsPos,
      "while evaluating the `outputs` attribute of a string context",
    );
    if (names.length > 0 && !isDerivationPath)
      throw evalError(
        "eval",
        `tried to add derivation output context of ${quoteAttrName(path)}, which is not a derivation, to a string`,
        pos,
      );
    for (const name of names)
      context.add(
        `!${forceStringNoContext(name, outputsPos, "while evaluating an output name within a string context")}!${path}`,
      );
  });
}
