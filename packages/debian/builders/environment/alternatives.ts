/** A name that several packages can provide, e.g. `/usr/bin/awk` by mawk or gawk, with its companions. */
export interface Alternative {
  /** The generic name's place. */
  readonly link: string;
  /** Its name under `/etc/alternatives`. */
  readonly name: string;
  /** The provider. */
  readonly target: string;
  readonly priority: number;
  readonly followers: readonly { readonly link: string; readonly name: string; readonly target: string }[];
}

/** Packages whose scripts compute their alternatives in shell functions: package → those calls, written out. */
const COMPUTED: readonly (readonly [packages: RegExp, links: readonly string[], priority: number])[] = [
  [/^vim-(?:basic|gtk3|nox|motif)$/, ["vim", "vi", "view", "ex", "editor", "vimdiff", "rvim", "rview"], 50],
  [/^vim-tiny$/, ["vi", "view", "ex", "rview"], 15],
];

/**
 * Finds the `update-alternatives --install` calls in a maintainer script without running it: comments and
 * continuation lines, `for` loops over words and simple variables are understood; other calls are left out.
 * @param packageName whose script it is, for those whose calls are computed
 */
export function parseAlternatives(script: string, packageName: string): Alternative[] {
  const text = unrollLoops(script.replace(/\\\n/g, " ").replace(/^\s*#.*$/gm, ""));
  const variables = new Map<string, string>();
  for (const match of text.matchAll(/^\s*([A-Za-z_]\w*)=["']?([A-Za-z0-9_./+-]*)["']?\s*$/gm))
    variables.set(match[1] ?? "", match[2] ?? "");
  const found: Alternative[] = [];
  for (const match of text.matchAll(/update-alternatives\b([^\n;|&]*)/g)) {
    const words = (match[1] ?? "")
      .replace(/\s#.*$/, "")
      .replace(/\$\{?(\w+)\}?/g, (whole, name: string) => variables.get(name) ?? whole)
      .replace(/["']/g, "")
      .trim()
      .split(/\s+/);
    const alternative = parseCall(words);
    if (alternative !== undefined) found.push(alternative);
  }
  return [...found, ...computedAlternatives(packageName)];
}

/** For each link the provider with the highest priority; the first of equals, as update-alternatives keeps it. */
export function chooseAlternatives(all: readonly Alternative[]): Alternative[] {
  const best = new Map<string, Alternative>();
  for (const alternative of all) {
    const known = best.get(alternative.link);
    if (known === undefined || alternative.priority > known.priority) best.set(alternative.link, alternative);
  }
  return [...best.values()];
}

function unrollLoops(text: string): string {
  const loop = /\bfor\s+(\w+)\s+in\s+([^;\n$`]*)(?:;|\n)\s*do\b([\s\S]*?)\bdone\b/g;
  return text.replace(loop, (_, name: string, words: string, body: string) =>
    words
      .trim()
      .split(/\s+/)
      .map((word) => body.replace(new RegExp(`\\$(?:\\{${name}\\}|${name}\\b)`, "g"), () => word))
      .join("\n"),
  );
}

function parseCall(words: readonly string[]): Alternative | undefined {
  const at = words.indexOf("--install");
  const [link = "", name = "", target = "", priority = ""] = at < 0 ? [] : words.slice(at + 1, at + 5);
  if (!isPlace(link) || !isPlace(target) || !/^\d{1,9}$/.test(priority) || !isName(name)) return undefined;
  const followers: { link: string; name: string; target: string }[] = [];
  for (let i = at + 5; i < words.length; i++) {
    if (words[i] !== "--slave") continue;
    const [followerLink = "", followerName = "", followerTarget = ""] = words.slice(i + 1, i + 4);
    if (isPlace(followerLink) && isPlace(followerTarget) && isName(followerName))
      followers.push({ link: followerLink, name: followerName, target: followerTarget });
    i += 3;
  }
  return { link, name, target, priority: Number(priority), followers };
}

function computedAlternatives(packageName: string): Alternative[] {
  return COMPUTED.filter(([packages]) => packages.test(packageName)).flatMap(([, links, priority]) =>
    links.map((name) => ({
      link: `/usr/bin/${name}`,
      name,
      target: `/usr/bin/${packageName.replace(/^vim-/, "vim.")}`,
      priority,
      followers: [],
    })),
  );
}

function isPlace(word: string): boolean {
  return /^\/[^$`*?[\]{}()<>]+$/.test(word) && !word.split("/").includes("..");
}

function isName(word: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.+:@-]*$/.test(word);
}
