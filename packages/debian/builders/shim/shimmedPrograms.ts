/** The shim's name in an environment's library directory; see `devshell-root.c`. */
export const SHIM_LIBRARY = "libdevshell-root.so";

/**
 * Programs with places under /usr compiled in, which no variable or option moves (perl's @INC, git's exec path, node's
 * /usr/share/nodejs …), and the packages that hold them. They load the shim before all other libraries. Tools that show
 * or copy files by the user's own paths (coreutils, tar, find, shells) must not be here: they would see the
 * environment's /usr.
 */
const SHIMMED: readonly (readonly [packages: RegExp, programs: RegExp])[] = [
  [/^perl-base$/, /^\/usr\/bin\/perl(?:5[\d.]*)?(?:-[^/]*)?$/],
  [/^git$/, /^\/usr\/(?:bin\/(?:git|scalar)(?:-[^/]*)?|lib\/git-core\/[^/]+)$/],
  [/^nodejs$/, /^\/usr\/bin\/(?:node|nodejs)$/],
  [
    /^(?:gpg|gnupg|dirmngr)/,
    /^\/usr\/(?:bin\/(?:gpg|gpgconf|gpg-agent|gpgsm|dirmngr|gpg-connect-agent|gpg-wks-[a-z]+|gpgv)|lib\/gnupg2?\/[^/]+)$/,
  ],
  [
    /^groff/,
    /^\/usr\/bin\/(?:groff|g?troff|grotty|grops|grodvi|grohtml|eqn|neqn|tbl|pic|soelim|preconv|post-grohtml|pre-grohtml)$/,
  ],
  [/^man-db$/, /^\/usr\/bin\/(?:man|mandb|manpath|apropos|whatis|lexgrog|man-recode)$/],
  [/^(?:file|bison|gdb|nano|gawk|m4)$/, /^\/usr\/bin\/(?:file|bison|gdb|nano|gawk|m4)$/],
  [/^gettext$/, /^\/usr\/bin\/(?:xgettext|msginit)$/],
  [/^vim/, /^\/usr\/bin\/vim\.[a-z0-9-]+$/],
  [/^(?:ruby|php|lua)/, /^\/usr\/bin\/(?:ruby|php|lua)[\d.]*$/],
  [/^(?:tcl|tk)/, /^\/usr\/bin\/(?:tclsh|wish)[\d.]*$/],
  [/^guile/, /^\/usr\/bin\/guile[-\d.]*$/],
  [/^gnuplot/, /^\/usr\/bin\/gnuplot[a-z0-9-]*$/],
  [/^octave/, /^\/usr\/bin\/octave[-a-z\d.]*$/],
  [/^r-base-core$/, /^\/usr\/lib\/R\/bin\/exec\/R$/],
  [/^(?:xvfb|xserver-|tigervnc)/, /^\/usr\/bin\/(?:Xvfb|Xephyr|Xvnc)$/],
  [/^(?:x11-xkb-utils|xterm)$/, /^\/usr\/bin\/(?:xkbcomp|xterm)$/],
];

export function isShimmedProgram(path: string): boolean {
  return SHIMMED.some(([, programs]) => programs.test(path));
}

/** Whether an environment with a package of this name is to have the shim. */
export function needsShim(packageName: string): boolean {
  return SHIMMED.some(([packages]) => packages.test(packageName));
}
