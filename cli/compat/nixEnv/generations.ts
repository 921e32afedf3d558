import { resolve } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import {
  readGenerations,
  replaceSymlink,
  switchGeneration,
  type GenerationChoice,
  type Store,
  type StoreSettings,
} from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { printLine, say } from "../output.ts";
import { readTimeSpec } from "../timeSpec.ts";
import { userProfileLink } from "./profilePath.ts";

/** `nix-env --list-generations`. */
export function listGenerations(profile: string): void {
  const { all, current } = readGenerations(bytesOfText(profile));
  for (const { number, madeMs } of all)
    printLine(
      `${String(number).padStart(4)}   ${localTime(madeMs)}   ${number === current ? "(current)" : ""}`,
    );
}

/** `nix-env --switch-generation`, `--rollback` where no number is given. */
export function goToGeneration(
  store: Store,
  profile: string,
  word: string | undefined,
  isDryRun: boolean,
): void {
  if (word !== undefined && !/^\d{1,15}$/.test(word))
    throw usageError("nix-env", "expected a generation number");
  switchGeneration(store, bytesOfText(profile), word === undefined ? undefined : Number(word), {
    isDryRun,
    onSwitch: (from, to) => say(`switching profile from version ${from} to ${to}`),
  });
}

/** What `nix-env --delete-generations` is given: `old`, `30d`, `+5` or numbers. */
export function readGenerationChoice(words: readonly string[]): GenerationChoice {
  const [word = "", ...more] = words;
  if (more.length === 0) {
    if (word === "old") return { kind: "old" };
    if (word.includes("d")) return { kind: "olderThan", ms: readTimeSpec("nix-env", word) };
    if (word.includes("+")) return { kind: "keep", count: readCount(word) };
  }
  for (const each of words)
    if (!/^\d{1,15}$/.test(each)) throw usageError("nix-env", `invalid generation number '${each}'`);
  return { kind: "numbers", numbers: new Set(words.map(Number)) };
}

/** `nix-env --switch-profile`: the user's link points elsewhere. */
export function switchProfile(settings: StoreSettings, words: readonly string[]): void {
  const [profile, ...more] = words;
  if (profile === undefined || more.length > 0) throw usageError("nix-env", "exactly one argument expected");
  replaceSymlink(bytesOfText(userProfileLink(settings)), bytesOfText(resolve(profile)));
}

function readCount(word: string): number {
  const digits = /^.(\d{1,9})$/.exec(word)?.[1];
  if (digits === undefined) throw usageError("nix-env", `invalid number of generations to keep '${word}'`);
  if (Number(digits) === 0)
    throw usageError(
      "nix-env",
      "Must keep at least one generation, otherwise the current one would be deleted",
    );
  return Number(digits);
}

/** `2026-01-31 09:05:00`, as the machine's clock shows it. */
function localTime(ms: number): string {
  const time = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(time.getFullYear()).padStart(4)}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
