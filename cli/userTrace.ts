import { join } from "node:path";
import { DevshellError, bytesOfText, packageRoot, type SourcePos, type TraceFrame } from "../core/index.ts";

/** Where our own expressions lie; also of texts that we made, and of the language's own files. */
const OWN_FILES = [
  `${bytesOfText(join(packageRoot, "packages"))}/`,
  bytesOfText("«devshell»/"),
  bytesOfText("«nix-internal»/"),
];

/**
 * An error as it concerns the user's own files: frames in ours are left out, and an error whose place is none or in
 * ours gets the innermost place of theirs that led to it.
 */
export function inUsersFiles(error: DevshellError): DevshellError {
  const { trace } = error;
  const frames = trace.filter((frame, n) => {
    // A frame without a place belongs to the next one outward that has one.
    const placed = frame.pos === undefined ? trace.slice(n).find(({ pos }) => pos !== undefined) : undefined;
    return !isOwnFrame(frame) && (placed === undefined || frame.isAlways === true || !isOwnFrame(placed));
  });
  const hasOwnPos = error.pos !== undefined && isOwnFile(error.pos);
  if (frames.length === trace.length && error.pos !== undefined && !hasOwnPos) return error;
  let { pos } = error;
  if (pos === undefined || hasOwnPos) {
    // What an attribute is missing from is written elsewhere, maybe: the selection is what is wrong.
    const isMissing = error.code === "LANG_ATTRIBUTE_MISSING";
    const at = frames.findIndex(
      (frame) =>
        frame.pos !== undefined && !(isMissing && frame.message.startsWith("from the definition of ")),
    );
    pos = frames[at]?.pos ?? (frames.length > 0 || !hasOwnPos ? undefined : error.pos);
    // It says no more than the place.
    if (at >= 0 && frames.slice(0, at).every((frame) => frame.pos !== undefined)) frames.splice(at, 1);
  }
  const { code, message, hint, suggestions, exitStatus } = error;
  return new DevshellError(code, message, { hint, suggestions, exitStatus, pos, trace: frames });
}

function isOwnFrame({ message, pos }: TraceFrame): boolean {
  if (pos !== undefined) return isOwnFile(pos);
  // Nix's frame of a derivation states its place in words.
  return OWN_FILES.some((start) => message.includes(`located at ${start}`));
}

function isOwnFile({ origin }: SourcePos): boolean {
  return origin.kind === "file" && OWN_FILES.some((start) => origin.path.startsWith(start));
}
