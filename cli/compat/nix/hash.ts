import {
  DevshellError,
  formatHash,
  parseHash,
  type HashAlgorithm,
  type HashEncoding,
} from "../../../core/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { algorithmOf, encodingOf, hashOf } from "../nixHash.ts";
import { printLine } from "../output.ts";

/** `nix hash file|path|convert|to-base16|to-base32|to-base64|to-sri`. */
export async function hash(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  let algorithm: HashAlgorithm | undefined;
  let encoding: HashEncoding | undefined;
  let from: HashEncoding | undefined;
  let mode: string | undefined;
  const flags = parseCommandLine("nix hash", argv, (word, next) => {
    const format = /^--(base16|base32|base64|sri)$/.exec(word);
    if (format !== null) encoding = encodingOf(format[1] ?? "");
    else if (word === "--format" || word === "--to") encoding = encodingOf(next());
    else if (word === "--from") from = encodingOf(next());
    else if (word === "--type" || word === "--algo" || word === "--hash-algo")
      algorithm = algorithmOf(next());
    else if (word === "--mode") mode = next();
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [action, ...rest] = words;
  switch (action) {
    case "file":
    case "path": {
      const method = action === "file" || mode === "flat" || mode === "text" ? "flat" : "nar";
      if (mode !== undefined && !["flat", "text", "nar"].includes(mode))
        throw usageError("nix hash", `hashing mode '${mode}' is not built yet`);
      for (const word of rest)
        printLine(formatHash(await hashOf(word, method, algorithm ?? "sha256", flags), encoding ?? "sri"));
      return 0;
    }
    case "convert":
      for (const word of rest) printLine(formatHash(checkedHash(word, algorithm, from), encoding ?? "sri"));
      return 0;
    case "to-base16":
    case "to-base32":
    case "to-base64":
    case "to-sri":
      for (const word of rest)
        printLine(formatHash(parseHash(word, algorithm), encodingOf(action.slice("to-".length))));
      return 0;
    default:
      throw usageError("nix hash", `'${action ?? ""}' is not a recognised command`);
  }
}

function checkedHash(
  word: string,
  algorithm: HashAlgorithm | undefined,
  from: HashEncoding | undefined,
): ReturnType<typeof parseHash> {
  const parsed = parseHash(word, algorithm);
  if (from === undefined) return parsed;
  const format = formatOf(word, parsed);
  if (format !== from)
    throw new DevshellError(
      "HASH_INVALID",
      `input hash '${word}' has format '${format}', but '--from ${from}' was specified`,
    );
  return parsed;
}

/** How a hash that was read is written. */
function formatOf(word: string, { digest, algorithm }: ReturnType<typeof parseHash>): HashEncoding {
  if (word.startsWith(`${algorithm}-`)) return "sri";
  const bare = word.replace(/^[a-z0-9]+:/, "");
  if (bare.length === digest.length * 2) return "base16";
  return bare.length === Math.ceil((digest.length * 8) / 5) ? "nix32" : "base64";
}
