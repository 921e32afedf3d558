import { resolve } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import {
  readRegistry,
  userRegistryPath,
  writeRegistry,
  type RegistryEntry,
  type RegistryKind,
} from "../../../env/index.ts";
import {
  attributesOf,
  fetchReference,
  flakeReference,
  formatFlakeReference,
  isLockedReference,
  isSameAttributes,
  parseFlakeReference,
  showReference,
  type FlakeReference,
} from "../../../lang/index.ts";
import { bytesOfText } from "../../../core/index.ts";
import { usageError } from "../commandLine.ts";
import { printLine, say } from "../output.ts";
import { FlakeCommand, parseFlakeRequest, type FlakeRequest } from "./flake/flakeCommand.ts";
import { resolveFully } from "./flake/prefetch.ts";

interface RegistryRequest {
  readonly request: FlakeRequest;
  readonly words: readonly string[];
  /** The registry that is changed. */
  readonly path: string;
}

const ACTIONS: Readonly<
  Record<string, readonly [run: (request: RegistryRequest) => void, wordCount: number]>
> = {
  add: [add, 2],
  list: [list, 0],
  pin: [pin, 1],
  remove: [remove, 1],
  resolve: [resolveAll, 0],
};

/** `nix registry ACTION`. */
export function registry(argv: readonly string[]): number {
  let path = userRegistryPath();
  const request = parseFlakeRequest(
    "nix registry",
    argv,
    (word, next) => {
      if (word !== "--registry") return false;
      path = resolve(next());
      return true;
    },
    Infinity,
  );
  const [name = "", ...words] = request.words;
  const action = ACTIONS[name];
  if (action === undefined)
    throw new DevshellError("CLI_USAGE", `'${name}' is not a recognised command`, {
      hint: `there are ${Object.keys(ACTIONS).join(", ")}`,
    });
  const [run, wordCount] = action;
  if (words.length < wordCount) throw usageError(`nix registry ${name}`, "more arguments are required");
  run({ request: { ...request, words: [] }, words, path });
  return 0;
}

/** Without a base: a registry's references must hold everywhere. */
function absoluteReference(text: string): FlakeReference {
  return flakeReference(parseFlakeReference(bytesOfText(text)));
}

const TITLES: Readonly<Record<RegistryKind, string>> = {
  flags: "flags ",
  user: "user  ",
  system: "system",
  global: "global",
  custom: "custom",
};

function list({ request }: RegistryRequest): void {
  using command = new FlakeCommand(request);
  for (const { kind, entries } of command.context.registries.all())
    for (const { from, to } of entries)
      printLine(`${TITLES[kind]} ${formatFlakeReference(from)} ${showReference(to)}`);
}

function add({ words: [from = "", to = ""], path }: RegistryRequest): void {
  replace(path, absoluteReference(from), absoluteReference(to));
}

function remove({ words: [word = ""], path }: RegistryRequest): void {
  const { attributes } = absoluteReference(word);
  writeRegistry(
    path,
    entriesOf(path).filter(({ from }) => !isSameAttributes(from, attributes)),
  );
}

function pin({ request, words: [url = "", target = url], path }: RegistryRequest): void {
  using command = new FlakeCommand(request);
  const { evaluator } = command.evaluation;
  const reference = absoluteReference(url);
  const resolved = resolveFully(command, absoluteReference(target));
  const { locked } = evaluator.run(() => fetchReference(evaluator.runtime, resolved, "none"));
  const attributes = new Map(locked.attributes);
  if (!isLockedReference(locked)) say(`warning: flake '${formatFlakeReference(attributes)}' is not locked`);
  replace(path, reference, { attributes, dir: reference.dir });
}

function resolveAll({ request, words }: RegistryRequest): void {
  using command = new FlakeCommand(request);
  for (const word of words) printLine(showReference(resolveFully(command, absoluteReference(word))));
}

function replace(path: string, from: FlakeReference, to: FlakeReference): void {
  const others = entriesOf(path).filter((entry) => !isSameAttributes(entry.from, from.attributes));
  const target = flakeReference(attributesOf(to));
  writeRegistry(path, [...others, { from: from.attributes, to: target, isExact: false }]);
}

function entriesOf(path: string): readonly RegistryEntry[] {
  return readRegistry(path, "custom", (message) => say(`warning: ${message}`)).entries;
}
