import { DevshellError, bytesOfText, type ByteString } from "../../../core/index.ts";
import { Regex, RegexError, parseDerivationName } from "../../../lang/index.ts";
import type { EnvPackage } from "./envPackage.ts";

const MAX_PROPOSALS = 3;

/**
 * The packages that words name: `hello`, `hello-2.10`, a POSIX extended regular expression for the whole name, `*`.
 * In the words' order, each once.
 * @param narrow chooses among those that one word names
 * @throws {DevshellError} where a word names none
 */
export function selectPackages(
  packages: readonly EnvPackage[],
  words: readonly string[],
  narrow: (hits: readonly EnvPackage[]) => readonly EnvPackage[] = (hits) => hits,
): EnvPackage[] {
  const selected = new Set<EnvPackage>();
  for (const word of words.length === 0 ? ["*"] : words) {
    const selector = bytesOfText(word);
    const hits = packages.filter(packageMatcher(selector));
    for (const each of narrow(hits)) selected.add(each);
    if (hits.length === 0 && selector !== "*") throw noMatch(packages, selector);
  }
  return [...selected];
}

/** Whether a package is one that the selector names. */
export function packageMatcher(selector: ByteString): (each: EnvPackage) => boolean {
  const { name, version } = parseDerivationName(selector);
  const expression = name === "*" ? undefined : expressionOf(name);
  const known = new Map<ByteString, boolean>();
  const isNamed = (candidate: ByteString): boolean => {
    if (expression === undefined) return true;
    let isMatch = known.get(candidate);
    if (isMatch === undefined)
      known.set(candidate, (isMatch = expression.matchWhole(candidate) !== undefined));
    return isMatch;
  };
  return ({ parsedName }) => isNamed(parsedName.name) && (version === "" || version === parsedName.version);
}

function expressionOf(pattern: ByteString): Regex {
  try {
    return new Regex(pattern);
  } catch (cause) {
    if (!(cause instanceof RegexError)) throw cause;
    throw new DevshellError("CLI_USAGE", `Cannot select "${pattern}": it is no regular expression`, {
      cause,
    });
  }
}

function noMatch(packages: readonly EnvPackage[], selector: ByteString): DevshellError {
  const { name } = parseDerivationName(selector);
  const near = new Set<ByteString>();
  for (const { parsedName } of packages) {
    if (parsedName.name.startsWith(name)) near.add(parsedName.name);
    if (near.size >= MAX_PROPOSALS) break;
  }
  const proposals = near.size === 0 ? "" : `, maybe you meant:\n${[...near].sort().join("\n")}`;
  return new DevshellError("CLI_NOTHING_FOUND", `selector '${selector}' matches no derivations${proposals}`);
}
