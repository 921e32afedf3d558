import { DevshellError, bytesOfText, type ByteString } from "../../core/index.ts";
import {
  AttrSet,
  Lambda,
  NO_POS,
  PrimOp,
  addFrame,
  deeper,
  evalError,
  docCommentAt,
  parseAttrPath,
  quoteAttrName,
  showPos,
  type Evaluator,
  type Value,
} from "../../lang/index.ts";
import { isColoured } from "../isColoured.ts";
import { paintMarkdown } from "./paint.ts";
import type { ReplSession } from "./replSession.ts";

/** A functor may give a functor. */
const MAX_FUNCTORS = 1000;
/** `set.a.b`, where the last attribute's own comment may be all there is. */
const SELECTION = /^(.+)\.([a-zA-Z_][a-zA-Z0-9_'-]*|"[^"$\\]*")$/s;
const DEFINED_AT = bytesOfText("  … defined at ");

/** `:doc`: what a builtin or the comment before a function says, in Markdown. */
export function showDocumentation(session: ReplSession, expression: string): void {
  const value = evaluated(session, expression);
  const { evaluator } = session;
  const text =
    evaluator.run(() => documentationOf(evaluator, value)) ?? attributeDocumentation(session, expression);
  if (text === undefined) throw new DevshellError("REPL_NO_DOC", "value does not have documentation");
  const shown = isColoured(process.stdout) ? paintMarkdown(text.trim()) : text.trim();
  session.options.print(`${shown}\n`);
}

function evaluated(session: ReplSession, expression: string): Value {
  try {
    return session.evaluate(expression);
  } catch (error) {
    // Where a set is missing, not only its attribute, that is what Nix says.
    const set = SELECTION.exec(expression)?.[1];
    if (set !== undefined) session.evaluate(set, expression);
    throw error;
  }
}

function documentationOf(evaluator: Evaluator, value: Value, level = 0): ByteString | undefined {
  if (value instanceof PrimOp && value.doc !== undefined) {
    const parameters = value.parameters.map((name) => `*${name}*`).join(" ");
    return bytesOfText(`**Synopsis:** \`builtins.${value.name}\` ${parameters}\n\n${value.doc}`);
  }
  if (value instanceof Lambda) {
    const { name, pos } = value.code;
    const what = name === undefined ? "Function defined at " : `Function \`${name}\`\\\n${DEFINED_AT}`;
    return `${what}${showPos(pos)}\n\n${docCommentAt(pos) ?? ""}`;
  }
  const functor = value instanceof AttrSet ? value.get("__functor") : undefined;
  if (functor === undefined) return undefined;
  try {
    if (level > MAX_FUNCTORS) throw evalError("stackOverflow", "stack overflow; max-call-depth exceeded");
    const applied = evaluator.call(functor, value);
    return deeper(() => documentationOf(evaluator, applied, level + 1));
  } catch (error) {
    throw addFrame(error, "while partially calling '__functor' to retrieve documentation", NO_POS);
  }
}

function attributeDocumentation(session: ReplSession, expression: string): ByteString | undefined {
  const match = SELECTION.exec(expression);
  if (match === null) return undefined;
  const set = session.evaluate(match[1]!, expression);
  const [name] = parseAttrPath(match[2]!);
  const pos = set instanceof AttrSet && name !== undefined ? set.posOf(name) : NO_POS;
  if (pos === NO_POS || name === undefined) return undefined;
  const comment = docCommentAt(pos) ?? "No documentation found.\n\n";
  return `Attribute \`${quoteAttrName(name)}\`\n\n${DEFINED_AT}${showPos(pos)}\n\n${comment}`;
}
