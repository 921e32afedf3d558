import { DevshellError } from "../../../core/index.ts";

/** `nix upgrade-nix`: says that devshell replaces neither itself nor anyone's Nix. */
export function upgradeNix(): never {
  throw new DevshellError("CLI_NOT_BUILT", "Cannot upgrade Nix: this `nix` is devshell, an npm package", {
    hint: "npm brings a newer devshell; an installed Nix upgrades itself by its own `nix upgrade-nix`",
  });
}
