import { DevshellError } from "../core/index.ts";

/** What the machine refuses for no fault of the program's: what it means, and what helps. */
const REFUSALS: Readonly<Record<string, readonly [meaning: string, hint: string]>> = {
  ENOSPC: ["no space is left on the disk", "make room there; `devshell gc` frees the store's disk"],
  EDQUOT: ["the disk quota is used up", "make room there; `devshell gc` frees the store's disk"],
  EROFS: ["the disk is read-only", "remount it, or use a place elsewhere"],
  EIO: ["the disk reports an input/output error", "the system's log (`dmesg`) may say why"],
  EFBIG: ["the file is larger than files may be", "`ulimit -f` shows this process's limit"],
  EMFILE: ["too many files are open", "`ulimit -n` shows this process's limit"],
  ENFILE: ["too many files are open on this machine", "end other programs, or raise fs.file-max"],
  ENOMEM: ["no memory is left", "end other programs, and try again"],
};

/** @returns `undefined` where the error is none of the machine's */
export function systemFailure(error: unknown): DevshellError | undefined {
  if (error instanceof DevshellError || !(error instanceof Error) || !("code" in error)) return undefined;
  const [meaning, hint] = REFUSALS[String(error.code)] ?? [];
  if (meaning === undefined) return undefined;
  const call = "syscall" in error ? String(error.syscall) : "go on";
  const path = "path" in error && typeof error.path === "string" ? ` "${error.path}"` : "";
  return new DevshellError("SYSTEM_REFUSED", `Cannot ${call}${path}: ${meaning}`, { hint, cause: error });
}
