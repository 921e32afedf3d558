/** A line of a trace, or the error itself, with its place and the excerpt below it. */
interface Frame {
  readonly text: string;
  readonly place: string;
}

const DOTS = Buffer.from("…").toString("latin1");
const INTERNAL = "/derivation-internal.nix:";

/** Frames of operands, as 2.34 words them. */
const REWORDED: Readonly<Record<string, string>> = {
  "the AND (&&) operator": "'&&'",
  "the OR (||) operator": "'||'",
  "the IMPL (->) operator": "'->'",
  "the update (//) operator": "'//'",
  "the not operator": "'!'",
};
/** Here 2.36 gives the place of the operand, 2.34 that of the operator, if any. */
const OPERAND =
  /^(?:in the (?:left|right) operand of '(?:&&|\|\||->)'|in the argument of '!'|in the condition of the assert statement|while evaluating a branch condition)$/;
/** Here 2.34 may have no place: comparisons have none there, nor `let { body = …; }`. */
const UNPLACED =
  /^(?:in the (?:left|right) operand of '\/\/'|while evaluating an attribute name|error: (?:attribute 'body' missing|expected a string but found ))/;
/** Frames that only 2.36 has. */
const ADDED =
  /^(?:in an operand of '\+'|in the (?:left|right) operand of '(?:==|!=|\+\+)'|in the argument of '\?'|while selecting an attribute|entering the infinite recursion|while (?:evaluating|using) the `outPath` attribute|while using the result of the `__toString` attribute)$/;
/** Frames that only 2.34 has. */
const REMOVED =
  /^(?:while realising the context of a path|while evaluating the first argument passed to builtins.toPath)$/;

/**
 * Whether two reports with whole traces are equal but for what 2.36 words otherwise than 2.34, which is asked.
 * @param isSameText compares what is said, in one frame
 */
export function isSameReport(
  here: string,
  peer: string,
  isSameText: (here: string, peer: string) => boolean,
): boolean {
  const ours = withoutDefinitions(framesOf(here));
  const its = framesOf(peer).filter((frame) => !isDerivationsSelection(frame));
  let at = 0;
  let outer: Frame | undefined;
  const isNext = (frame: Frame): boolean => {
    const other = its[at];
    return (
      other !== undefined &&
      isSameText(frame.text, other.text) &&
      (isPlacedAnew(frame, other, outer) || isSameText(frame.place, other.place))
    );
  };
  for (const frame of ours) {
    if (!isNext(frame) && ADDED.test(frame.text)) continue;
    while (!isNext(frame) && REMOVED.test(its[at]?.text ?? "")) at++;
    if (!isNext(frame)) return false;
    at++;
    outer = frame;
  }
  return at === its.length;
}

function isPlacedAnew({ text, place }: Frame, other: Frame, outer: Frame | undefined): boolean {
  if (OPERAND.test(text) || place.includes(INTERNAL)) return true;
  if (UNPLACED.test(text)) return other.place === "";
  if (text.startsWith("error: stack overflow;")) return true;
  // Another of several that are undefined.
  if (text.startsWith("error: undefined variable ")) return text !== other.text;
  return (
    text.startsWith("error: expected a Boolean but found ") && outer !== undefined && OPERAND.test(outer.text)
  );
}

/** What 2.34 says where the definition of `derivation` selects an output. */
function isDerivationsSelection({ text, place }: Frame): boolean {
  return text === "while calling the 'getAttr' builtin" && place.includes(INTERNAL);
}

/** A selection's two frames, that of its place and that of the definition, as the one that 2.34 has. */
function withoutDefinitions(frames: readonly Frame[]): Frame[] {
  let selection: Frame | undefined;
  return frames.flatMap((frame) => {
    if (frame.text.startsWith("while evaluating the attribute ")) {
      selection = frame;
      return [];
    }
    const outer = selection;
    if (outer !== undefined && frame.text.startsWith("from the definition of "))
      return [{ text: outer.text, place: frame.place }];
    selection = undefined;
    // The selection's place stands with the error in 2.34, before what was perhaps meant.
    const [, missing, rest] =
      /^(error: attribute .* missing)((?:\nDid you mean [^]*)?)$/.exec(frame.text) ?? [];
    if (missing === undefined || outer === undefined) return [frame];
    return [{ text: missing, place: outer.place + rest }];
  });
}

function framesOf(report: string): Frame[] {
  const parts = report.split(new RegExp(`\\n\\n?(?=${DOTS}|error:)`)).filter((part) => part !== "error:");
  return parts.map((part) => {
    const said = part.startsWith(DOTS) ? part.slice(DOTS.length).trimStart() : part;
    const end = /\nat \S+:\d+:\d+:(?:\n|$)/.exec(said)?.index ?? said.length;
    const text = said
      .slice(0, end)
      .replace(/the (?:[A-Za-z]+ \(\S+\)|not) operator/, (name) => REWORDED[name] ?? name);
    return { text, place: said.slice(end) };
  });
}
