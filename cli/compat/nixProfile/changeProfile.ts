import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import {
  addGeneration,
  linkPackages,
  profileToken,
  type FileConflict,
  type Store,
  type StorePath,
} from "../../../store/index.ts";
import type { CommonFlags } from "../commandLine.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";
import { showSource } from "./elementName.ts";
import { printManifest, readManifest } from "./manifest.ts";
import type { ProfileElement, ProfileManifest } from "./types.ts";

/** What every action on a profile works with. */
export interface ProfileRun {
  readonly context: StoreContext;
  readonly flags: CommonFlags;
  /** Opened when it is first needed. */
  readonly evaluation: () => CompatEvaluation;
  readonly profile: string;
  /** How the user called us, for hints: `nix profile`, `devshell profile`. */
  readonly command: string;
}

/**
 * Makes what `decide` says the profile's newest generation; anew when someone else changes the profile meanwhile.
 * @param decide `undefined`: nothing is done
 */
export async function changeProfile(
  run: ProfileRun,
  decide: (manifest: ProfileManifest) => Promise<ProfileManifest | undefined> | ProfileManifest | undefined,
): Promise<void> {
  const { context, profile } = run;
  for (;;) {
    const token = profileToken(bytesOfText(profile));
    const manifest = await decide(manifestOf(run));
    if (manifest === undefined) return;
    const path = await buildProfile(context.store, manifest);
    if (addGeneration(context.store, bytesOfText(profile), path, token) !== undefined) return;
    say(bytesOfText(`profile '${profile}' changed while we were busy; restarting`));
  }
}

/** What a profile, or one of its generations, holds. */
export function manifestOf(
  { context, evaluation, profile }: ProfileRun,
  generation = profile,
): ProfileManifest {
  return readManifest(generation, context.settings.storeDir, evaluation);
}

/** Puts a profile's content into the store: links to its packages' files, and `manifest.json`. */
export async function buildProfile(store: Store, manifest: ProfileManifest): Promise<StorePath> {
  const scratch = mkdtempSync(join(tmpdir(), "devshell-profile-"));
  try {
    const tree = join(scratch, "profile");
    mkdirSync(tree);
    const elements = [...manifest.values()];
    const references = elements.flatMap(({ storePaths }) => storePaths);
    // Nobody may take them away before they are referred to.
    store.addTempRoots(references);
    const packages = elements.flatMap(({ storePaths, priority, isActive }) =>
      storePaths.map((path) => ({ path, priority, isActive })),
    );
    await linkPackages(packages, bytesOfText(tree), { onWarn: say, place: store });
    writeFileSync(join(tree, "manifest.json"), printManifest(manifest), "latin1");
    return store.addPath(bytesOfText(tree), { name: "profile", method: "nar", references });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What a user can do about two packages that have the same file. */
export function explainConflict(
  conflict: FileConflict,
  manifest: ProfileManifest,
  command: string,
): DevshellError {
  const elements = [...manifest];
  const first = findOwner(conflict, elements);
  const last = findOwner(conflict, elements.toReversed());
  if (first === undefined || last === undefined) return conflict;
  const { priority } = conflict;
  const installables = installablesOf(last.element).join(" ");
  return new DevshellError(
    "CLI_PROFILE_CONFLICT",
    `An existing package already provides the following file:

  "${textOfBytes(first.file)}"

This is the conflicting file from the new package:

  "${textOfBytes(last.file)}"

To remove the existing package:

  ${command} remove ${first.name}

The new package can also be added next to the existing one by assigning a different priority.
The conflicting packages have a priority of ${priority}.
To prioritise the new package:

  ${command} add ${installables} --priority ${priority - 1}

To prioritise the existing package:

  ${command} add ${installables} --priority ${priority + 1}`,
  );
}

function findOwner(
  { existing, added }: FileConflict,
  elements: readonly (readonly [string, ProfileElement])[],
): { readonly file: string; readonly name: string; readonly element: ProfileElement } | undefined {
  for (const [name, element] of elements)
    for (const path of element.storePaths)
      for (const file of [existing, added]) if (file.startsWith(path)) return { file, name, element };
  return undefined;
}

function installablesOf({ source, storePaths }: ProfileElement): readonly string[] {
  return source === undefined ? storePaths : [showSource(source)];
}
