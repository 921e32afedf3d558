// Completion, hover, diagnostics and quick fixes of specs in all their forms, with the real CLI (acceptance 7).
import { join } from "node:path";
import { afterAll } from "vitest";
import { describeInHost } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const samples = sampleProjects();
afterAll(() => samples[Symbol.dispose]());
const collection = `${samples.root}/collection.nix`;

describeInHost("specs", join(import.meta.dirname, "spec.host.ts"), () =>
  Promise.resolve({
    folders: [
      samples.project("yaml", {
        "devshell.yaml": samples.spec(
          "packages:\n  - tool\nenv:\n  GREETING: hello\n  API_TOKEN: hunter2\nscripts:\n  check: make check\n",
        ),
      }),
      samples.project("toml", {
        "devshell.toml": `collection = "${collection}"\npackages = ["tool"]\n\n[env]\nGREETING = "hello"\n`,
      }),
      samples.project("json", {
        "devshell.json": `${JSON.stringify({ collection, packages: ["tool"], env: { GREETING: "hello" } }, undefined, 2)}\n`,
        "other/package.json": '{\n  "name": "other",\n  "devshell": {\n    \n  }\n}\n',
      }),
      samples.project("nix", {
        "shell.nix": `let\n  collection = import ${collection} { };\nin\ncollection.mkShell {\n  name = "nix";\n  nativeBuildInputs = [ collection.tool ];\n}\n`,
        "part.nix": "1\n",
      }),
    ],
    extensions: [EXTENSION],
    settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "never", "files.autoSave": "off" },
    env: samples.env,
  }),
);
