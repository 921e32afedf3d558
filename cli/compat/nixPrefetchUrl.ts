import { formatHash, parseHash, type HashAlgorithm } from "../../core/index.ts";
import { prefetchFile } from "../../env/index.ts";
import { parseCommandLine, usageError } from "./commandLine.ts";
import { openContext } from "./context.ts";
import { algorithmOf } from "./nixHash.ts";
import { printHelp, printLine, printVersion, say } from "./output.ts";

const NAME = "nix-prefetch-url";

/** `nix-prefetch-url URL [HASH]`: downloads into the store and prints the hash. */
export async function runNixPrefetchUrl(argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion(NAME);
  if (argv.includes("--help")) return printHelp(NAME);
  const words: string[] = [];
  let algorithm: HashAlgorithm = "sha256";
  let name: string | undefined;
  const given = new Set<string>();
  const flags = parseCommandLine(NAME, argv, (word, next) => {
    if (word === "--type") algorithm = algorithmOf(next());
    else if (word === "--name") name = next();
    else if (["--unpack", "--executable", "--print-path"].includes(word)) given.add(word);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [url, hash] = words;
  if (url === undefined) throw usageError(NAME, "you must specify a URL");
  if (words.length > 2) throw usageError(NAME, "too many arguments");
  using context = openContext(flags);
  const found = await prefetchFile(context.store, {
    url,
    name,
    algorithm,
    expected: hash === undefined ? undefined : parseHash(hash, algorithm),
    isUnpacked: given.has("--unpack"),
    isExecutable: given.has("--executable"),
  });
  if (!given.has("--print-path")) say(`path is '${found.storePath}'`);
  const text = formatHash(found.hash, found.hash.algorithm === "md5" ? "base16" : "nix32");
  printLine(text);
  if (given.has("--print-path")) printLine(found.storePath);
  return 0;
}
