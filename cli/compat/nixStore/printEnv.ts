import { parseStorePath } from "../../../store/index.ts";
import { bytesOfText } from "../../../core/index.ts";
import { quoteSh } from "../../../env/index.ts";
import { usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine } from "../output.ts";
import { switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --print-env`: a derivation's variables as shell source. */
export function printEnvironment(operation: StoreOperation): number {
  switchesOf(operation, []);
  const [word, ...more] = operation.words;
  if (word === undefined || more.length > 0)
    throw usageError("nix-store", "'--print-env' requires one derivation store path");
  using context = openContext(operation.flags);
  const { env, args } = context.store.readDerivation(
    parseStorePath(context.settings.storeDir, bytesOfText(word)),
  );
  for (const [name, value] of [...env].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    printLine(`export ${name}; ${name}=${quoteSh(value)}`);
  printLine(`export _args; _args=${quoteSh(args.join(" "))}`);
  return 0;
}
