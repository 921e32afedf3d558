import { posix } from "node:path";

/** What the rules ask of the tree. */
export interface TreeNames {
  has(path: string): boolean;
  /** Whether something beside it begins with this path's last name: `/usr/share/automake` for `automake-1.16`. */
  hasPrefix(path: string): boolean;
}

export interface TextFile {
  /** Its place in the tree. */
  readonly path: string;
  readonly isExecutable: boolean;
  readonly isScript: boolean;
}

/** Where texts are looked at at all. */
const INCLUDED =
  /^\/usr\/(?:bin|sbin|lib|libexec|games|share)\/|^\/etc\/(?:fonts|xml|ssl|perl|python3|dbus-1)\//;

/** What is documentation, data, a template for other trees, or the machine's own business. */
const EXCLUDED = new RegExp(
  [
    "^/usr/share/(?:doc|man|info|locale|bug|lintian|doc-base|menu|common-licenses|aclocal|misc|libtool|dpkg|debhelper",
    "|X11|i18n|zoneinfo|mime|icons|fonts|emacs|vim|bash-completion|zsh|polkit-1|terminfo|tabset)(?:/|$)",
    "|^/usr/(?:include|src)(?:/|$)",
    "|^/usr/lib/(?:systemd|udev|kernel|modules|debug|mime|locale|emacsen-common)(?:/|$)",
    "|^/usr/share/(?:automake-[\\d.]+|autoconf/build-aux|gettext(?!/archive)|intltool-debian/.*\\.in)(?:/|$)",
  ].join(""),
);
/** Perl's configuration tells compilers and makefiles where things are, wherever it lies. */
const PERL_CONFIG = /\/Config[^/]*\.p[lm]$/;
const BINARY_NAME = /\.(?:so|a|o)(?:\.[\d.]+)?$/;
const CONFIG_NAME = /\.(?:pc|la|cmake|cfg|service|pl)$|^_sysconfigdata|-config$/;
const PYTHON_MAKEFILE = /\/config-[\d.]+[^/]*\/Makefile$/;
/** Debian's packaging helpers name places of the packages they make. */
const PACKAGING = /^\/usr\/bin\/dh(?:_|$)|^\/usr\/share\/(?:perl5\/Debian|debconf|debhelper)/;

/** An absolute path below /usr that is not the end of another one, or the operand of -I or -L. */
const USR_PATH =
  /(?:(?<![A-Za-z0-9_.\-+}~/)@*])|(?<=(?:^|[\s"'=])-[IL]))\/usr\/(?:bin|sbin|lib|libexec|share|include|lib64)(?:\/[A-Za-z0-9_.+-]+)*/g;

/** Whether a file's text may be changed at all; by its name and place only. */
export function isRewritable({ path, isExecutable, isScript }: TextFile): boolean {
  if (!INCLUDED.test(path) || (EXCLUDED.test(path) && !PERL_CONFIG.test(path)) || BINARY_NAME.test(path))
    return false;
  return isConfig(path) || (isScript && isExecutable) || path.startsWith("/usr/bin/");
}

/**
 * Makes a script or configuration text name the environment's files instead of the machine's. A path is replaced
 * only where it is one in the tree (or the beginning of a name there).
 * @param root the environment's directory
 */
export function rewriteText(file: TextFile, text: string, root: string, tree: TreeNames): string {
  const { path, isScript } = file;
  let result = rewriteInterpreter(text, root, tree);
  if (isScript && /^\/usr\/(?:s?bin|lib)\//.test(path) && /^#!.*\b(?:sh|bash|dash)\b/.test(result))
    result = result.replace(/^(\s*(?:exec_)?prefix=["']?)\/usr(["']?\s*)$/gm, `$1${escape(root)}/usr$2`);
  if (!PACKAGING.test(path)) {
    result = result.replace(USR_PATH, (found) => {
      const place = found.replace(/\.+$/, "");
      return tree.has(place) || tree.hasPrefix(place) ? root + found : found;
    });
  }
  if (namesPrefix(path))
    result = result.replace(/(^|[\s"'=:,]|-[IL])\/usr(?=\/(?!local)|["'\s]|$)/gm, `$1${escape(root)}/usr`);
  if (path.endsWith(".pc"))
    result = result.replace(/=\/(lib|etc)(?=\/|$)/gm, (_, directory: string) =>
      directory === "lib" ? `=${root}/usr/lib` : `=${root}/etc`,
    );
  if (path.endsWith(".cmake")) result = result.replace(/"\/usr"/g, () => `"${root}/usr"`);
  return result;
}

function isConfig(path: string): boolean {
  const name = posix.basename(path);
  return (
    CONFIG_NAME.test(name) || PERL_CONFIG.test(path) || PYTHON_MAKEFILE.test(path) || path.startsWith("/etc/")
  );
}

/** Whether its bare `/usr` is the installation's prefix. */
function namesPrefix(path: string): boolean {
  return /\.(?:pc|la)$|-config$|\/_sysconfigdata[^/]*$/.test(path) || PYTHON_MAKEFILE.test(path);
}

function rewriteInterpreter(text: string, root: string, tree: TreeNames): string {
  if (!text.startsWith("#!")) return text;
  const end = text.indexOf("\n");
  const line = end < 0 ? text : text.slice(0, end);
  const rest = end < 0 ? "" : text.slice(end);
  const byEnv = /^#!\s*(?:\/usr)?\/bin\/env\s+(?:-S\s+)?([A-Za-z0-9._+-]+)\s*$/.exec(line);
  if (byEnv !== null) return tree.has(`/usr/bin/${byEnv[1]}`) ? `#!${root}/usr/bin/${byEnv[1]}${rest}` : text;
  const direct = /^#!\s*(?:\/usr)?\/(s?bin)\/([^\s]+)(.*)$/.exec(line);
  if (direct === null || direct[2] === "env") return text;
  const place = `/usr/${direct[1]}/${direct[2]}`;
  return tree.has(place) ? `#!${root}${place}${direct[3]}${rest}` : text;
}

function escape(root: string): string {
  return root.replaceAll("$", "$$$$");
}
