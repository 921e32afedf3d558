import { DevshellError, shownUrl } from "../../../../core/index.ts";
import {
  fetchInput,
  isFollowed,
  relativePathOf,
  showReference,
  type FlakeReference,
  type LockNode,
} from "../../../../lang/index.ts";
import { say } from "../../output.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";

/** `nix flake prefetch-inputs`: fetches all that a lock file names. */
export function prefetchInputs(argv: readonly string[]): number {
  using command = new FlakeCommand(parseFlakeRequest("nix flake prefetch-inputs", argv));
  const { lock } = command.lock();
  let failed = 0;
  for (const { locked } of pinsOf(lock)) {
    say(`fetching '${shownUrl(showReference(locked))}'...`);
    try {
      fetchLocked(command, locked);
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      say(`error: ${error.message}`);
      failed++;
    }
  }
  return failed === 0 ? 0 : 1;
}

/** Every pin of a lock file that has a tree of its own, once. */
function pinsOf(root: LockNode): NonNullable<LockNode["pin"]>[] {
  const seen = new Set<LockNode>();
  const pins: NonNullable<LockNode["pin"]>[] = [];
  const visit = (node: LockNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.pin !== undefined && relativePathOf(node.pin.locked) === undefined) pins.push(node.pin);
    for (const edge of node.inputs.values()) if (!isFollowed(edge)) visit(edge);
  };
  visit(root);
  return pins;
}

/** @returns the store path of a locked tree */
export function fetchLocked({ evaluation }: FlakeCommand, { attributes }: FlakeReference): string {
  const { attributes: input, reference } = fetchInput(attributes);
  return evaluation.evaluator.run(
    () => evaluation.host.fetch({ kind: "tree", attributes: input, reference, isFinal: true }).storePath,
  );
}
