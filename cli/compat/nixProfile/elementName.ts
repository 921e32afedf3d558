import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import { parseDerivationName, showReference } from "../../../lang/index.ts";
import { storePathName } from "../../../store/index.ts";
import { showVersions } from "../nix/closureDiff.ts";
import type { ElementSource, ProfileElement } from "./types.ts";

/** `path:/src/tool#packages.x86_64-linux.default^man`: the installable that an element stands for. */
export function showSource({ original, attrPath, outputs }: ElementSource): string {
  const suffix = outputs === undefined ? "" : `^${outputs === "*" ? outputs : outputs.join()}`;
  return `${textOfBytes(showReference(original))}#${attrPath}${suffix}`;
}

/** What an element is called in messages: its installable, else the names of its paths. */
export function identifierOf({ source, storePaths }: Pick<ProfileElement, "source" | "storePaths">): string {
  if (source !== undefined) return showSource(source);
  const names = storePaths.map((path) => parseDerivationName(storePathName(path)).name);
  return [...new Set(names)].sort().join(", ");
}

/** What an element is called in its profile, unless that name is taken. */
export function nameOfElement(element: Pick<ProfileElement, "source" | "storePaths">): string {
  const { source } = element;
  return (source === undefined ? undefined : nameOfUrl(showSource(source))) ?? identifierOf(element);
}

/** The versions of an element's paths: `1.0, 1.0-man`; `ε` where a path has none. */
export function versionsOf({ storePaths }: Pick<ProfileElement, "storePaths">): string {
  return showVersions(
    storePaths.map((path) => textOfBytes(parseDerivationName(storePathName(path)).version)),
  );
}

const NAME = "[a-zA-Z0-9_-]+";
const ATTRIBUTE = new RegExp(`^((?:${NAME}\\.)*)(${NAME})(?:\\^.*)?$`);
const LAST_SEGMENT = new RegExp(`^.*/(${NAME})$`);
const SECOND_SEGMENT = new RegExp(`^${NAME}/(${NAME})(?:/.*)?$`);

/** A short name for what an installable's URL names: its directory, its attribute, or its repository. */
export function nameOfUrl(url: string): string | undefined {
  const match = /^([a-z][a-z0-9+.-]*):([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is.exec(url);
  if (match === null) return undefined;
  const [, scheme = "", location = "", query = "", fragment = ""] = match;
  const dir = query.split("&").find((parameter) => parameter.startsWith("dir="));
  if (dir !== undefined) return decode(dir.slice(4));
  const attribute = ATTRIBUTE.exec(decode(fragment));
  if (attribute !== null && attribute[1] !== "defaultPackage." && attribute[2] !== "default")
    return attribute[2];
  const path = decode(location.replace(/^\/\/[^/]*/, ""));
  const isForge = scheme === "github" || scheme === "gitlab" || scheme === "sourcehut";
  return (isForge ? SECOND_SEGMENT.exec(path)?.[1] : undefined) ?? LAST_SEGMENT.exec(path)?.[1];
}

/** Percent signs stand for bytes. */
function decode(text: string): string {
  return textOfBytes(
    bytesOfText(text).replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    ),
  );
}
