import type { Random } from "../evalCache/random.ts";

/** What a flake can ask of its tree, of its inputs and of where they lie. */
const QUESTIONS = [
  "import ./used.nix",
  "(import ./sub).v",
  "import ./link.nix",
  "import ./through",
  'import (builtins.toFile "text" (builtins.readFile ./data/a))',
  "scopedImport { scoped = 1; } ./used.nix",
  "builtins.readFile ./data/a",
  "builtins.readFile ./linkdir/a",
  "builtins.readFile ./sub/../data/a",
  'builtins.readFile "${self}/data/a"',
  'builtins.readFile (self + "/data/b")',
  'orNull ./data/b (builtins.hashFile "sha256")',
  "orNull ./maybe builtins.readFileType",
  "orNull ./dangling builtins.readFileType",
  "orNull ./dir builtins.readDir",
  "orNull ./linkdir builtins.readDir",
  "builtins.readDir ./.",
  "builtins.readDir self",
  "map builtins.pathExists [ ./maybe ./dir/new ./dangling ./data ./nowhere/at/all ]",
  'builtins.pathExists (./. + "/maybe/")',
  'builtins.pathExists "${self}/src/new"',
  "builtins.tryEval (assert import ./used.nix == 1; 1)",
  "toString ./data",
  "baseNameOf ./data",
  "toString (dirOf ./data/a)",
  '"${./data}"',
  '"${./src}/x"',
  '"${./maybe}"',
  '"${self}/x"',
  "[ ./used.nix ]",
  "./data < ./src",
  "./data == ./data",
  "builtins.attrNames (builtins.groupBy toString [ ./data ])",
  "builtins.toXML [ ./data ]",
  "__curPos.file",
  '(builtins.unsafeGetAttrPos "v" (import ./sub)).file',
  'builtins.getContext "${./data}"',
  "self.outPath",
  "self.narHash",
  "self.lastModified",
  "self.lastModifiedDate",
  "self.sourceInfo.outPath",
  "self.sourceInfo ? rev",
  "self ? dirtyRev",
  'self.rev or "none"',
  "builtins.attrNames inputs.self",
  'self.rev or self.dirtyRev or "none"',
  "builtins.attrNames self.sourceInfo",
  "toString (self.revCount or 0)",
  "self.lib.used",
  "builtins.attrNames self.inputs",
  "inputs.dep.v",
  "inputs.dep.data",
  "inputs.dep.outPath",
  'import "${inputs.dep}/v.nix"',
  "inputs.tree.outPath",
  'builtins.readFile "${inputs.tree}/t"',
  "inputs.tree.narHash",
  'builtins.readFile "${inputs.outside}/a"',
  "inputs.outside.lastModified",
  'builtins.path { path = ./src; name = "src"; filter = path: type: baseNameOf path != "skip"; }',
  'builtins.path { path = ./.; name = "all"; filter = path: type: baseNameOf path == "data" || dirOf path == toString ./data; }',
  'builtins.path { path = ./data/a; name = "flat"; recursive = false; }',
  'builtins.path { path = ./.; filter = path: type: type == "directory" || builtins.pathExists (path + ".keep"); }',
  'builtins.filterSource (path: type: type != "symlink" && baseNameOf path != "skip") ./src',
  'builtins.filterSource (path: type: type == "regular") self',
  'builtins.findFile [ { path = ./.; prefix = ""; } ] "data/a"',
  'builtins.findFile [ { path = ./data; prefix = "d"; } { path = ./data2; prefix = "d"; } ] "d/c"',
  "map ({ key }: key) (builtins.genericClosure { startSet = [ { key = ./data; } ]; operator = _: [ ]; })",
  "(import ./used.nix) + 1",
  "if builtins.pathExists ./maybe then builtins.readFileType ./maybe else import ./used.nix",
  'builtins.fetchTree { type = "path"; path = "${self}/data"; narHash = self.narHash; }',
  'derivation { name = "inner"; system = "x"; builder = ./data/a; }',
];

export const OUTPUTS = ["one", "two", "three", "four"];

/** A flake whose outputs ask random questions. */
export function flakeProgram(random: Random, outside: string): string {
  const shell = (name: string): string => {
    const asked = Array.from({ length: 1 + random.below(2) }, () => `(${random.pick(QUESTIONS)})`);
    return `    devShells.x86_64-linux.${name} = shell [ ${asked.join(" ")} ];\n`;
  };
  return `{
  inputs.dep.url = "path:./dep";
  inputs.tree = { url = "path:./tree"; flake = false; };
  inputs.outside = { url = "path:${outside}"; flake = false; };
  outputs = { self, ... }@inputs: let
    orNull = path: read: if builtins.pathExists path then read path else null;
    shell = asked: derivation {
      name = "asked"; system = "x86_64-linux"; builder = "/bin/sh"; answers = builtins.toJSON asked;
    };
  in {
    lib.used = import ./used.nix;
${OUTPUTS.map(shell).join("")}  };
}
`;
}
