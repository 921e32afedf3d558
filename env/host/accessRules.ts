import { DevshellError, type ByteString, shownUrl } from "../../core/index.ts";

/** What evaluation may reach: everything, only the search path (restricted), or only what the store holds (pure). */
export type EvaluationMode = "impure" | "restricted" | "pure";

/** Decides which paths, variables and addresses evaluation may read. */
export class AccessRules {
  readonly mode: EvaluationMode;
  readonly #storeDir: string;
  readonly #allowed = new Set<string>();
  readonly #allowedUris: readonly string[];

  constructor(mode: EvaluationMode, storeDir: string, allowedUris: readonly string[] = []) {
    this.mode = mode;
    this.#storeDir = storeDir;
    this.#allowedUris = allowedUris;
  }

  /** Lets evaluation read a path and everything below it. */
  allow(path: ByteString): void {
    this.#allowed.add(path === "/" ? "" : path);
  }

  /** Whether what lies at a path may be read. */
  isAllowed(path: ByteString): boolean {
    if (this.mode === "impure") return true;
    if (path.startsWith(`${this.#storeDir}/`)) return true;
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/"))) {
      if (this.#allowed.has(at)) return true;
      if (at === "") return false;
    }
  }

  /** @throws {DevshellError} `EVAL_RESTRICTED` */
  check(path: ByteString): void {
    if (this.isAllowed(path)) return;
    if (this.mode === "pure")
      throw new DevshellError(
        "EVAL_RESTRICTED",
        `access to absolute path '${path}' is forbidden in pure evaluation mode (use '--impure' to override)`,
      );
    throw new DevshellError(
      "EVAL_RESTRICTED",
      `access to absolute path '${path}' is forbidden in restricted mode`,
    );
  }

  /** Whether a directory's own existence may be seen: it leads to something allowed. */
  isAncestorOfAllowed(path: ByteString): boolean {
    const prefix = path === "/" ? "/" : `${path}/`;
    return `${this.#storeDir}/`.startsWith(prefix) || this.isAncestorOfGiven(path);
  }

  /** Whether a directory leads to something that {@link allow} named. */
  isAncestorOfGiven(path: ByteString): boolean {
    const prefix = path === "/" ? "/" : `${path}/`;
    for (const allowed of this.#allowed) if (`${allowed}/`.startsWith(prefix)) return true;
    return false;
  }

  /** @throws {DevshellError} `EVAL_RESTRICTED` for addresses outside `allowed-uris` */
  checkUri(uri: string): void {
    if (this.mode === "impure" || this.mode === "pure") return;
    const isAllowed = this.#allowedUris.some(
      (prefix) =>
        uri === prefix || (uri.startsWith(prefix) && (/[/:]$/.test(prefix) || uri[prefix.length] === "/")),
    );
    if (!isAllowed)
      throw new DevshellError(
        "EVAL_RESTRICTED",
        `access to URI '${shownUrl(uri)}' is forbidden in restricted mode`,
      );
  }
}
