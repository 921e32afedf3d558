export type VersionOperator = "<<" | "<=" | "=" | ">=" | ">>";

/**
 * Orders two Debian versions: epoch, upstream version, revision.
 * @returns negative, 0 or positive
 * @see deb-version(7)
 */
export function compareVersions(left: string, right: string): number {
  if (left === right) return 0;
  const a = splitVersion(left);
  const b = splitVersion(right);
  return a.epoch - b.epoch || comparePart(a.upstream, b.upstream) || comparePart(a.revision, b.revision);
}

export function isVersionSatisfying(version: string, operator: VersionOperator, bound: string): boolean {
  const order = compareVersions(version, bound);
  switch (operator) {
    case "<<":
      return order < 0;
    case "<=":
      return order <= 0;
    case "=":
      return order === 0;
    case ">=":
      return order >= 0;
    case ">>":
      return order > 0;
  }
}

/** The version without epoch and revision, e.g. `1:2.3-4` → `2.3`. */
export function upstreamVersion(version: string): string {
  return splitVersion(version).upstream;
}

/** The version without its epoch, as file names have it. */
export function withoutEpoch(version: string): string {
  return version.replace(/^\d+:/, "");
}

interface VersionParts {
  readonly epoch: number;
  readonly upstream: string;
  readonly revision: string;
}

function splitVersion(version: string): VersionParts {
  const colon = version.indexOf(":");
  const head = colon > 0 ? version.slice(0, colon) : "";
  const hasEpoch = /^\d{1,9}$/.test(head);
  const rest = hasEpoch ? version.slice(colon + 1) : version;
  const dash = rest.lastIndexOf("-");
  return {
    epoch: hasEpoch ? Number(head) : 0,
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

const ZERO = 48;
const NINE = 57;
const TILDE = 126;

/** Alternates runs of other characters, ordered by {@link characterOrder}, and of digits, ordered as numbers. */
function comparePart(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const order = characterOrder(a, i) - characterOrder(b, j);
      if (order !== 0) return order;
      i++;
      j++;
    }
    while (a.charCodeAt(i) === ZERO) i++;
    while (b.charCodeAt(j) === ZERO) j++;
    let difference = 0;
    while (isDigit(a, i) && isDigit(b, j)) {
      difference ||= a.charCodeAt(i) - b.charCodeAt(j);
      i++;
      j++;
    }
    if (isDigit(a, i)) return 1;
    if (isDigit(b, j)) return -1;
    if (difference !== 0) return difference;
  }
  return 0;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= ZERO && code <= NINE;
}

/** `~` before the end of the part, then letters, then everything else. */
function characterOrder(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (Number.isNaN(code) || (code >= ZERO && code <= NINE)) return 0;
  if (code === TILDE) return -1;
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return isLetter ? code : code + 256;
}
