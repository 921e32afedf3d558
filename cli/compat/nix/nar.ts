import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { dumpNar, openNarTree } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { writeStandardOutput } from "../output.ts";
import { LIST_SWITCHES, listFlagsOf, listTree, printFile } from "./treeListing.ts";

/** `nix nar ls|cat|pack`: looks into NAR files, and makes them. */
export async function nar(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const given = new Set<string>();
  parseCommandLine("nix nar", argv, (word) => {
    const name = LIST_SWITCHES[word];
    if (name !== undefined) given.add(name);
    else if (word.startsWith("-") && word !== "-") return false;
    else words.push(word);
    return true;
  });
  const [action, file, path, ...more] = words;
  if (action === "pack" || action === "dump-path") {
    if (file === undefined || path !== undefined) throw usageError(`nix nar ${action}`, "expected one path");
    dumpNar(bytesOfText(file), writeStandardOutput);
    return 0;
  }
  if (action !== "ls" && action !== "cat")
    throw new DevshellError("CLI_NOT_BUILT", `Cannot run "nix nar ${action ?? ""}": it is not built yet`, {
      hint: "there are cat, ls, pack",
    });
  if (file === undefined || path === undefined || more.length > 0)
    throw usageError(`nix nar ${action}`, "expected a NAR file and a path in it");
  await using tree = await openNarTree(bytesOfText(file));
  const inside = normalPath(path);
  if (action === "ls") listTree(tree, inside, inside === "" ? "/" : inside, listFlagsOf(given));
  else
    await printFile(
      tree,
      inside,
      () => new DevshellError("CLI_NO_PATH", `NAR does not contain regular file '${inside}'`),
    );
  return 0;
}

/** "", "/" and "." are the top; `a//b` is `/a/b`. */
function normalPath(path: string): string {
  const names = bytesOfText(path)
    .split("/")
    .filter((name) => name !== "" && name !== ".");
  return names.map((name) => `/${name}`).join("");
}
