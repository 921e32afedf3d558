import { DevshellError } from "../../../../core/index.ts";
import { parseInputPath, showInputPath } from "../../../../lang/index.ts";
import { say } from "../../output.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";

/** `nix flake lock`: adds what the lock file lacks. */
export function lock(argv: readonly string[]): number {
  const request = parseFlakeRequest("nix flake lock", argv);
  request.common.settings.set("tarball-ttl", "0");
  using command = new FlakeCommand(request);
  command.lock({ isWritten: true, failsOnUnlocked: true, appliesSettings: true });
  return 0;
}

/** `nix flake update [INPUT…]`: locks all inputs anew, or those that are named. */
export function update(argv: readonly string[]): number {
  let flake = ".";
  const request = parseFlakeRequest(
    "nix flake update",
    argv,
    (word, next) => {
      if (word !== "--flake") return false;
      flake = next();
      return true;
    },
    Infinity,
  );
  const updates = request.words.map(inputToUpdate);
  for (const path of updates) {
    if (request.flags.updates.has(path))
      say(`warning: Input '${path}' was specified multiple times. You may have done this by accident.`);
    request.flags.updates.add(path);
  }
  request.common.settings.set("tarball-ttl", "0");
  using command = new FlakeCommand({ ...request, words: [flake] });
  command.lock({
    isWritten: true,
    isRecreated: request.flags.updates.size === 0,
    appliesSettings: true,
  });
  return 0;
}

function inputToUpdate(word: string): string {
  try {
    const path = showInputPath(parseInputPath(word));
    if (path !== "") return path;
    throw new DevshellError(
      "CLI_USAGE",
      "input path to be updated cannot be zero-length; it would refer to the flake itself, not an input",
    );
  } catch (error) {
    say(
      `warning: Invalid flake input '${word}'. To update a specific flake, use 'nix flake update --flake ${word}' instead.`,
    );
    throw error;
  }
}
