/** The drop-in commands: links to the launcher, which looks at its own name. */
export const COMPAT_NAMES = [
  "nix",
  "nix-build",
  "nix-channel",
  "nix-collect-garbage",
  "nix-copy-closure",
  "nix-daemon",
  "nix-env",
  "nix-hash",
  "nix-instantiate",
  "nix-prefetch-url",
  "nix-shell",
  "nix-store",
] as const;
