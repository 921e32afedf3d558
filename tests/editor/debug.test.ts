// Acceptance 1 and 8: the built-in JavaScript debugger, in both consoles, with two folders.
import { join } from "node:path";
import { afterAll } from "vitest";
import { describeInHost } from "./harness/index.ts";
import { DEVSHELL, EXTENSION, sampleProjects } from "./sampleProject.ts";

const samples = sampleProjects();
afterAll(() => samples[Symbol.dispose]());

const SEEN = `
const { spawnSync } = require("node:child_process");
const { renameSync, writeFileSync } = require("node:fs");
const { GREETING: greeting, OTHER: other, TEXT: text, DOOMED: doomed } = process.env;
const tool = spawnSync("tool", { encoding: "utf8" }).stdout?.trim() ?? "missing";
writeFileSync(__dirname + "/seen.tmp", JSON.stringify({ greeting, other, text, doomed, tool }));
renameSync(__dirname + "/seen.tmp", __dirname + "/seen.json");
`;

describeInHost("debugging", join(import.meta.dirname, "debug.host.ts"), () =>
  Promise.resolve({
    folders: [
      samples.project("a", {
        "devshell.yaml": samples.spec(
          `packages: [tool]\nenv: { GREETING: hello, TEXT: "a\\nb \\"quoted\\" $HOME \\\\ 'c'" }\nunset: [DOOMED]\n`,
        ),
        "seen.cjs": SEEN,
        ".env": "TEXT=of the file\n",
      }),
      samples.project("b", {
        "devshell.yaml": samples.spec("env: { GREETING: from b, OTHER: only b }\n"),
        "seen.cjs": SEEN,
      }),
    ],
    extensions: [EXTENSION],
    data: { node: process.execPath },
    settings: { "devshell.path": DEVSHELL, "devshell.restartExtensions": "never" },
    env: { ...samples.env, DOOMED: "caller's" },
    homeFiles: { ".bashrc": samples.hostileBashrc },
  }),
);
