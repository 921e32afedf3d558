// sampleProject - projects whose environments the real devshell makes in a second, without a network.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** The extension and the CLI of this tree, as `scripts/build.ts` bundled them. */
export const EXTENSION = resolve(import.meta.dirname, "../../vscode-extension");
export const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

/** A collection in the language: `tool` says its name, `mkShell` and a stdenv with one phase. */
const COLLECTION = `{ ... }:
let
  make = fields: derivation ({
    system = builtins.currentSystem;
    builder = "/bin/bash";
    PATH = "/usr/bin:/bin";
  } // fields);
  stdenv = make {
    name = "stdenv";
    setup = builtins.toFile "setup" ''
      PATH=/usr/bin:/bin
      for input in $buildInputs; do PATH=$input/bin:$PATH; done
      buildPhase() { echo "phase of $name"; }
    '';
    args = [ "-c" "mkdir $out; cp $setup $out/setup" ];
  };
in
rec {
  tool = make {
    name = "tool-1.0";
    args = [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\\\\necho devshell tool\\\\n' >$out/bin/tool; chmod +x $out/bin/tool" ];
  };
  mkShell = { name, nativeBuildInputs ? [ ], shellHook ? "", ... }: make {
    inherit name stdenv shellHook;
    buildInputs = nativeBuildInputs;
  };
}
`;

export interface Samples extends Disposable {
  readonly root: string;
  /** A store and a cache of their own, for the editor's server. */
  readonly env: Readonly<Record<string, string>>;
  /** A `.bashrc` that puts a directory with another `tool` first on PATH. */
  readonly hostileBashrc: string;
  /** Writes a project. @returns its directory */
  project(name: string, files: Readonly<Record<string, string>>): string;
  /** A data spec over the small collection. */
  spec(fields: string): string;
}

export function sampleProjects(): Samples {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-sample-")));
  const hostile = join(root, "hostile");
  mkdirSync(hostile);
  writeFileSync(join(hostile, "tool"), "#!/bin/sh\necho hostile tool\n", { mode: 0o755 });
  writeFileSync(join(root, "collection.nix"), COLLECTION);
  return {
    root,
    env: {
      DEVSHELL_CACHE_DIR: join(root, "cache"),
      NIX_STORE_DIR: join(root, "store"),
      NIX_STATE_DIR: join(root, "var"),
      NIX_LOG_DIR: join(root, "log"),
      NIX_CONF_DIR: join(root, "etc"),
      NIX_PATH: "",
      NIX_CONFIG: "sandbox = false\nsubstitute = false\nbuild-users-group =",
      NIX_BUILD_SHELL: "/bin/bash",
    },
    hostileBashrc: `export PATH=${hostile}:$PATH\nPS1='$ '\n`,
    project(name, files) {
      const directory = join(root, name);
      for (const [path, text] of Object.entries(files)) {
        const file = join(directory, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
      return directory;
    },
    spec: (fields) => `collection: ${root}/collection.nix\n${fields}`,
    [Symbol.dispose]() {
      execFileSync("chmod", ["-R", "u+w", root]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
