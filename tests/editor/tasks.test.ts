// Acceptance 1 and 3: tasks of the editor, of the spec and of tasks.json, with a .bashrc that gets in the way.
import { join } from "node:path";
import { afterAll } from "vitest";
import { describeInHost } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const samples = sampleProjects();
afterAll(() => samples[Symbol.dispose]());

const SPEC = samples.spec(`packages: [tool]
env: { GREETING: hello }
unset: [DOOMED]
scripts:
  sees: printf "%s|%s|%s" "$GREETING" "$(tool)" "\${DOOMED-unset}" > "\${1:-script.txt}"
  check: "true"
  build: |
    # as gcc would have it
    echo "src/main.c:2:3: error: unknown type name 'itn'" # make
    exit 3
`);
const TASKS = {
  version: "2.0.0",
  tasks: [
    { label: "my script", type: "devshell", script: "sees", args: ["my script.txt"] },
    { label: "my line", type: "devshell", command: 'echo -n "$GREETING $(tool)" > "my line.txt"' },
    {
      label: "my program",
      type: "devshell",
      command: "bash",
      args: ["-c", 'printf "%s %s" "$GREETING" "$1" > "my program.txt"', "bash", "'quoted' $x"],
    },
  ],
};

describeInHost("tasks", join(import.meta.dirname, "tasks.host.ts"), () =>
  Promise.resolve({
    folders: [
      samples.project("tasks", {
        "devshell.yaml": SPEC,
        "src/main.c": "int main(void) {\n  itn x;\n}\n",
        ".vscode/tasks.json": JSON.stringify(TASKS),
      }),
    ],
    extensions: [EXTENSION],
    settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "never" },
    env: { ...samples.env, DOOMED: "caller's" },
    homeFiles: { ".bashrc": samples.hostileBashrc },
  }),
);
