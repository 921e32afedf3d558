/** The Nix whose language and commands these are; `builtins.nixVersion`. */
export const NIX_VERSION = "2.34.8";
