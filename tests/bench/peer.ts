import { existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A real Nix on this machine, with a store of its own below `scratch`; `undefined` where none is installed. */
export interface PeerNix {
  readonly bin: string;
  readonly env: Readonly<Record<string, string>>;
}

export function findPeerNix(scratch: string): PeerNix | undefined {
  const candidates = [process.env["PEER_NIX"], ...(process.env["PATH"] ?? "").split(delimiter)];
  const bin = candidates.find((dir) => dir !== undefined && existsSync(join(dir, "nix-instantiate")));
  if (bin === undefined) return undefined;
  const root = join(scratch, "peer");
  mkdirSync(root, { recursive: true });
  return {
    bin,
    env: {
      NIX_STORE_DIR: join(root, "store"),
      NIX_STATE_DIR: join(root, "state"),
      NIX_LOG_DIR: join(root, "log"),
      NIX_CONF_DIR: join(root, "etc"),
      NIX_REMOTE: "local",
      NIX_CONFIG: "build-users-group =\nsandbox = false\nexperimental-features = nix-command flakes",
    },
  };
}

/** The real Nix and a whole nixpkgs (`NIXPKGS`) to compare on; says what is missing where there is none. */
export function findPeerTree(scratch: string): { readonly peer: PeerNix; readonly tree: string } | undefined {
  const peer = findPeerNix(scratch);
  const tree = process.env["NIXPKGS"];
  if (peer !== undefined && tree !== undefined && existsSync(join(tree, "pkgs/top-level")))
    return { peer, tree };
  console.log(
    `skipped: ${peer === undefined ? "PEER_NIX" : "NIXPKGS"} names no directory with what is needed`,
  );
  return undefined;
}
