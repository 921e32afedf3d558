import { DevshellError } from "../../../core/index.ts";
import { formatKey, generateSecretKey, parseSecretKey, publicKeyOf } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printBytes, standardInput } from "../output.ts";

/** `nix key generate-secret` and `nix key convert-secret-to-public`: the keys that sign store paths. */
export function key(argv: readonly string[]): number {
  const words: string[] = [];
  let name: string | undefined;
  parseCommandLine("nix key", argv, (word, next) => {
    if (word === "--key-name") name = next();
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [action, ...more] = words;
  if (more.length > 0) throw usageError("nix key", `unexpected argument '${more[0]}'`);
  switch (action) {
    case "generate-secret":
      if (name === undefined)
        throw usageError("nix key generate-secret", "required flag '--key-name' is missing");
      printBytes(formatKey(generateSecretKey(name)));
      return 0;
    case "convert-secret-to-public": {
      const text = Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString("utf8");
      printBytes(formatKey(publicKeyOf(parseSecretKey(text))));
      return 0;
    }
    default:
      throw new DevshellError("CLI_NOT_BUILT", `Cannot run "nix key ${action ?? ""}": it is not built yet`, {
        hint: "there are generate-secret, convert-secret-to-public",
      });
  }
}
