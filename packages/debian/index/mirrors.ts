import { DevshellError } from "../../../core/index.ts";
import { baseSuite, readAptSources, type AptSource } from "./aptSources.ts";

/** Where the archive is fetched from; several are tried in turn. URLs without a trailing slash. */
export interface Mirrors {
  readonly main: readonly string[];
  readonly security: readonly string[];
  /** `-updates` and `-security`, as far as the machine's own apt uses them. */
  readonly companions: readonly string[];
  /** The suite of the machine's own sources, if they are Debian's. */
  readonly machineSuite: string | undefined;
  /** What was read to know this, for input tracking. */
  readonly files: readonly string[];
}

export type MirrorRole = "main" | "security";

export interface MirrorOptions {
  /** From the spec or an option: they replace all others. */
  readonly mirrors?: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `/etc/apt` unless a test says otherwise. */
  readonly etcApt?: string | undefined;
}

/**
 * Explicit mirrors win over `DEVSHELL_DEBIAN_MIRROR`, that over the machine's apt sources. An explicit mirror whose
 * path ends with `-security` is the security archive; without one only the suite itself is used.
 * @throws {DevshellError} `DEBIAN_MIRROR_INVALID`
 */
export function findMirrors({ mirrors, env, etcApt }: MirrorOptions): Mirrors {
  const { sources, files } = readAptSources(etcApt ?? env["DEVSHELL_APT_DIR"] ?? "/etc/apt");
  const machineSuite = sources.find(({ suite }) => baseSuite(suite) === suite)?.suite;
  const fromVariable = (env["DEVSHELL_DEBIAN_MIRROR"] ?? "").split(/[\s,]+/).filter((url) => url !== "");
  const explicit = mirrors !== undefined && mirrors.length > 0 ? mirrors : fromVariable;
  if (explicit.length > 0) {
    const urls = explicit.map(checkMirror);
    const security = urls.filter((url) => url.endsWith("-security"));
    return {
      main: urls.filter((url) => !url.endsWith("-security")),
      security,
      companions: security.length > 0 ? ["-security"] : [],
      machineSuite,
      files,
    };
  }
  const isSecurity = ({ suite }: AptSource): boolean => /(?:-security|\/updates)$/.test(suite);
  const urisOf = (wanted: AptSource[]): string[] => [...new Set(wanted.map(({ uri }) => uri))];
  const companions = [
    ...(sources.some(({ suite }) => suite.endsWith("-updates")) ? ["-updates"] : []),
    ...(sources.some(isSecurity) ? ["-security"] : []),
  ];
  return {
    main: urisOf(sources.filter((source) => !isSecurity(source))),
    security: urisOf(sources.filter(isSecurity)),
    companions,
    machineSuite,
    files,
  };
}

/** @throws {DevshellError} `DEBIAN_NO_MIRROR` */
export function mirrorsOf(mirrors: Mirrors, role: MirrorRole): readonly string[] {
  // A mirror named alone has its security archive beside it, by Debian's own custom.
  const urls =
    role === "security" && mirrors.security.length === 0
      ? mirrors.main.filter((url) => url.endsWith("/debian")).map((url) => `${url}-security`)
      : mirrors[role];
  if (urls.length === 0)
    throw new DevshellError(
      "DEBIAN_NO_MIRROR",
      `Cannot reach Debian's archive: no ${role === "main" ? "mirror" : "security mirror"} is known`,
      {
        hint: "set DEVSHELL_DEBIAN_MIRROR to the URL of a Debian mirror; this machine's apt sources name none",
      },
    );
  return urls;
}

function checkMirror(url: string): string {
  if (!/^(?:https?:\/\/[^\s/]|file:\/)/.test(url) || !URL.canParse(url))
    throw new DevshellError(
      "DEBIAN_MIRROR_INVALID",
      `Cannot use mirror "${url}": it is no http, https or file URL`,
    );
  return url.replace(/\/+$/, "");
}
