import { openFlake, lockFlake, type FlakeEvaluation, type LockOptions } from "../../../../env/index.ts";
import {
  showReference,
  type AttrSet,
  type FlakeReference,
  type LockedFlake,
} from "../../../../lang/index.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../../commandLine.ts";
import { openContext } from "../../context.ts";
import { openCompatEvaluation } from "../../evaluate.ts";
import { lockOptions, newFlakeFlags, referenceOf, takeFlakeFlag, type FlakeFlags } from "../flakeOutputs.ts";

/** The words of a `nix flake` command. */
export interface FlakeRequest {
  readonly common: CommonFlags;
  readonly flags: FlakeFlags;
  readonly words: readonly string[];
}

/** @param own takes the command's own flags */
export function parseFlakeRequest(
  name: string,
  argv: readonly string[],
  own: (word: string, next: () => string) => boolean = () => false,
  maxWords = 1,
): FlakeRequest {
  const flags = newFlakeFlags();
  const words: string[] = [];
  const common = parseCommandLine(name, argv, (word, next) => {
    if (own(word, next) || takeFlakeFlag(flags, word, next)) return true;
    if (word.startsWith("-")) return false;
    words.push(word);
    return true;
  });
  if (words.length > maxWords) throw usageError(name, `unexpected argument '${words[maxWords]}'`);
  // As Nix: flakes are evaluated purely unless --impure is given.
  if (!argv.includes("--impure") && !common.settings.has("pure-eval"))
    common.settings.set("pure-eval", "true");
  return { common, flags, words };
}

/** A context and an evaluator for one `nix flake` command. */
export class FlakeCommand implements Disposable {
  readonly evaluation: FlakeEvaluation & ReturnType<typeof openCompatEvaluation>;
  readonly request: FlakeRequest;

  constructor(request: FlakeRequest, options: { readonly isReadOnly?: boolean } = {}) {
    this.request = request;
    const context = openContext(request.common, options);
    this.evaluation = { context, ...openCompatEvaluation(context, request.common) };
  }

  get context(): FlakeEvaluation["context"] {
    return this.evaluation.context;
  }

  /** The flake that the words name; that of the working directory where they name none. */
  get reference(): FlakeReference {
    return referenceOf(this.request.words[0] ?? ".");
  }

  lock(options: LockOptions = {}, reference = this.reference): LockedFlake {
    return lockFlake(this.evaluation, reference, {
      ...lockOptions(this.context, this.evaluation, this.request.flags),
      appliesSettings: false,
      ...options,
    });
  }

  showLocked({ flake }: LockedFlake): string {
    return showReference(flake.locked);
  }

  /** A flake's value. */
  open(locked: LockedFlake): AttrSet {
    return openFlake(this.evaluation, locked);
  }

  [Symbol.dispose](): void {
    this.evaluation.context[Symbol.dispose]();
  }
}
