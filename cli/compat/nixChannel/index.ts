import { dirname, join } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import { homeDirectory, stateHome, userExpressions, usesXdg } from "../../../env/index.ts";
import { makeDirectories } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { runNixEnv } from "../nixEnv/index.ts";
import { profilesDirectory } from "../nixEnv/profilePath.ts";
import { printHelp, printLine, printVersion } from "../output.ts";
import { checkChannel, nameOfChannel, readChannels, writeChannels } from "./channelList.ts";
import { linkChannels, updateChannels } from "./updateChannels.ts";

const NAME = "nix-channel";

/** `nix-channel`: collections of packages that are followed by their URL. */
export async function runNixChannel(argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion(NAME);
  if (argv.includes("--help")) return printHelp(NAME);
  const words: string[] = [];
  let operation: string | undefined;
  const flags = parseCommandLine(NAME, argv, (word) => {
    if (OPERATIONS.has(word)) operation = word.slice(2);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const places = findPlaces(flags);
  const { list, profile, expressions } = places;
  makeDirectories(bytesOfText(dirname(profile)));
  makeDirectories(bytesOfText(dirname(list)));
  switch (operation) {
    case "add": {
      const [url, given] = words;
      if (url === undefined || words.length > 2)
        throw usageError(NAME, "'--add' requires one or two arguments");
      const name = given ?? nameOfChannel(url);
      checkChannel(url, name);
      writeChannels(list, new Map([...readChannels(list), [name, url]]));
      return 0;
    }
    case "remove": {
      const [name] = words;
      if (name === undefined || words.length > 1) throw usageError(NAME, "'--remove' requires one argument");
      writeChannels(list, new Map([...readChannels(list)].filter(([each]) => each !== name)));
      return await runNixEnv(["--profile", profile, "--uninstall", name]);
    }
    case "list":
      refuseWords("--list", words);
      for (const [name, url] of readChannels(list)) printLine(bytesOfText(`${name} ${url}`));
      return 0;
    case "update": {
      const status = await updateChannels(() => openContext(flags), readChannels(list), {
        names: new Set(words),
        profile,
      });
      if (status === 0) linkChannels(expressions, profile);
      return status;
    }
    case "list-generations":
      refuseWords("--list-generations", words);
      return await runNixEnv(["--profile", profile, "--list-generations"]);
    case "rollback": {
      const [generation] = words;
      if (words.length > 1) throw usageError(NAME, "'--rollback' has at most one argument");
      const where = generation === undefined ? ["--rollback"] : ["--switch-generation", generation];
      return await runNixEnv(["--profile", profile, ...where]);
    }
    default:
      throw usageError(NAME, "no command specified");
  }
}

/** Where the list of channels, the profile of what they held last, and the link to it lie. */
function findPlaces(flags: Parameters<typeof openContext>[0]): {
  readonly list: string;
  readonly profile: string;
  readonly expressions: string;
} {
  using context = openContext(flags);
  const { settings } = context;
  const { raw } = settings.config;
  return {
    list: usesXdg(raw) ? join(stateHome(), "channels") : join(homeDirectory(), ".nix-channels"),
    profile: join(profilesDirectory(settings), "channels"),
    expressions: userExpressions(raw),
  };
}

function refuseWords(operation: string, words: readonly string[]): void {
  if (words.length > 0) throw usageError(NAME, `'${operation}' expects no arguments`);
}

const OPERATIONS = new Set(["--add", "--remove", "--list", "--update", "--list-generations", "--rollback"]);
