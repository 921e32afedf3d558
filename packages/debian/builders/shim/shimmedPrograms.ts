/** The shim's name in an environment's library directory; see `devshell-root.c`. */
export const SHIM_LIBRARY = "libdevshell-root.so";

/**
 * Programs with places under /usr compiled in, which no variable or option moves: perl's @INC, git's exec path,
 * node's /usr/share/nodejs … They load the shim before all other libraries. Tools that show or copy files by the
 * user's own paths (coreutils, tar, find, shells) must not be here: they would see the environment's /usr.
 */
const SHIMMED: readonly RegExp[] = [
  /^\/usr\/bin\/perl(?:5[\d.]*)?(?:-[^/]*)?$/,
  /^\/usr\/bin\/(?:git|scalar)(?:-[^/]*)?$/,
  /^\/usr\/lib\/git-core\/[^/]+$/,
  /^\/usr\/bin\/(?:node|nodejs)$/,
  /^\/usr\/bin\/(?:gpg|gpgconf|gpg-agent|gpgsm|dirmngr|gpg-connect-agent|gpg-wks-[a-z]+|gpgv)$/,
  /^\/usr\/lib\/gnupg2?\/[^/]+$/,
  /^\/usr\/bin\/(?:groff|g?troff|grotty|grops|grodvi|grohtml|eqn|neqn|tbl|pic|soelim|preconv|post-grohtml|pre-grohtml)$/,
  /^\/usr\/bin\/(?:man|mandb|manpath|apropos|whatis|lexgrog|man-recode)$/,
  /^\/usr\/bin\/(?:file|bison|gdb|vim\.[a-z0-9-]+|nano|ruby[\d.]*|php[\d.]*|tclsh[\d.]*|wish[\d.]*|lua[\d.]*)$/,
  /^\/usr\/bin\/(?:guile[-\d.]*|gawk|gnuplot[a-z0-9-]*|octave[-a-z\d.]*|m4|xgettext|msginit)$/,
  /^\/usr\/lib\/R\/bin\/exec\/R$/,
  /^\/usr\/bin\/(?:Xvfb|Xephyr|Xvnc|xkbcomp|xterm)$/,
];

export function isShimmedProgram(path: string): boolean {
  return SHIMMED.some((pattern) => pattern.test(path));
}
