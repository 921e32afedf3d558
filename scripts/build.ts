// build - bundles cli/main, cli/session and every *.worker.ts into dist/*.mjs, vscode-extension into its own dist/;
// dist/.stamp is written last (scripts/setup reads it).
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { execFileSync, spawnSync } from "node:child_process";
import { basename, join, resolve } from "node:path";
import { build, type BuildOptions, type Plugin } from "esbuild";
import { buildExtension } from "./buildExtension.ts";
import { withoutModuleCode } from "./trimSnapshot.ts";

const ROOT = resolve(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");
const STAGING = join(ROOT, `dist.tmp-${process.pid}`);
/** Chunks of earlier builds that nobody runs any more. */
const OUTDATED_MS = 24 * 3600 * 1000;
/**
 * V8's flags for what evaluates and then ends. The young generation is copied once, into the old one: what survives
 * once there is mostly kept (tests/bench/README.md). The scavenger's "chaos" decides by chance what it promotes; of a
 * hundred parts, a hundred.
 */
const EVALUATION_FLAGS = ["--scavenger-chaos-mode", "--scavenger-chaos-mode-threshold=100"];
const FOLDERS = ["core", "io", "lang", "store", "packages", "env", "shell", "cli"];

const main = ["cli/main.ts", "cli/main.tsx"].find((file) => existsSync(join(ROOT, file)));
const workers = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.worker.ts`, { cwd: ROOT }));
const entryPoints = Object.fromEntries(
  [...(main === undefined ? [] : [main]), ...workers].map((file) => [
    basename(file).replace(/\.tsx?$/, ""),
    join(ROOT, file),
  ]),
);
if (Object.keys(entryPoints).length !== workers.length + (main === undefined ? 0 : 1))
  throw new Error(`Cannot bundle: two entries share a name among ${workers.join(", ")}`);

rmSync(STAGING, { recursive: true, force: true });
mkdirSync(STAGING, { recursive: true });
/**
 * Loads a module of Node's only when one of its names is first read, and never as an ES module, whose namespace reads
 * every getter (`node:http` brings undici so). Measured on `devshell eval -E 1`: 50 ms instead of 86, of which Node
 * itself takes 25.
 */
const lazyNode: Plugin = {
  name: "lazy-node",
  setup(hooks) {
    // What every start needs, or runs often.
    const eager = new Set(["node:module", "node:path"]);
    hooks.onResolve({ filter: /^node:/ }, ({ path, pluginData, kind }) =>
      eager.has(path) || pluginData === lazyNode || !/^(?:import-statement|dynamic-import)$/.test(kind)
        ? { path, external: true }
        : { path, namespace: "lazy-node" },
    );
    hooks.onLoad({ filter: /.*/, namespace: "lazy-node" }, async ({ path }) => {
      // There already; and what it has from its prototype (`once`, `off`) is no export of the module.
      if (path === "node:process") return { contents: "module.exports = process;", loader: "js" };
      const names = Object.keys((await import(path)) as object).filter((name) => name !== "default");
      return {
        // On the prototype: esbuild copies own properties anew for each file that imports them (8 ms in all). Once
        // read, a name is a plain property: `require` on every call of `lstatSync` was 5 % of reading many files.
        contents: `const lazy = {};
          for (const name of ${JSON.stringify(names)})
            Object.defineProperty(lazy, name, { configurable: true, enumerable: true, get: () => {
              const value = require(${JSON.stringify(path)})[name];
              Object.defineProperty(lazy, name, { enumerable: true, value });
              return value;
            } });
          module.exports = Object.create(lazy);`,
        loader: "js",
        pluginData: lazyNode,
      };
    });
  },
};
const common: BuildOptions = {
  outdir: STAGING,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  // esbuild's own form of `using` keeps a loop's first error for its later rounds; Node has it itself.
  supported: { using: true },
  minify: true,
  keepNames: true,
  legalComments: "none",
  outExtension: { ".js": ".mjs" },
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  // Compiled (node-pty, koffi), or loaded only where a user has it (the rest).
  external: ["node-pty", "koffi", "typescript", "react-devtools-core"],
  banner: {
    js: 'import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);',
  },
  logLevel: "warning",
  plugins: [lazyNode],
};
await build({ ...common, entryPoints, splitting: true });
// On its own, with only what it uses: shared chunks would bring the evaluator into every open shell.
await build({ ...common, entryPoints: { session: join(ROOT, "cli/session.ts") } });
// `devshell eval` is one file, and CommonJS: an ES module for each of fifteen chunks takes Node 12 ms.
const alone: BuildOptions = {
  ...common,
  format: "cjs",
  // Every closure made by the evaluator's compiler would be given its name at run time.
  keepNames: false,
  outExtension: { ".js": ".cjs" },
  define: { ...common.define, "import.meta.url": "devshellUrl" },
  // The directive must come before all else, or the bundle is sloppy.
  banner: { js: '"use strict";const devshellUrl=require("node:url").pathToFileURL(__filename).href;' },
};
await build({
  ...alone,
  entryPoints: { quickMain: join(ROOT, "cli/quickMain.ts"), quickProcess: join(ROOT, "cli/quickProcess.ts") },
});
const { metafile } = await build({
  ...alone,
  metafile: true,
  entryPoints: { quickSnapshot: join(ROOT, "cli/quickSnapshot.ts") },
  banner: { js: `${alone.banner!["js"]!}function devshellBundle(devshellIsRehearsal){` },
  footer: { js: "}devshellBundle(false);devshellBundle(true);" },
});
for (const { path, kind } of Object.values(metafile.outputs).flatMap(({ imports }) => imports))
  if (kind === "dynamic-import")
    throw new Error(`Cannot bundle: a process from a snapshot has no import(), which "${path}" is loaded by`);
// File by file, chunks before the entries that name them: a shell that is running meanwhile still finds its own.
mkdirSync(DIST, { recursive: true });
const entries = new Set([
  ...[...Object.keys(entryPoints), "session"].map((name) => `${name}.mjs`),
  "quickMain.cjs",
  "quickProcess.cjs",
]);
const built = readdirSync(STAGING);
for (const name of [...built].sort((a, b) => Number(entries.has(a)) - Number(entries.has(b))))
  renameSync(join(STAGING, name), join(DIST, name));
const snapshot = makeSnapshot("quickSnapshot");
rmSync(STAGING, { recursive: true });
for (const name of readdirSync(DIST)) {
  const isOld = Date.now() - statSync(join(DIST, name)).mtimeMs > OUTDATED_MS && !name.endsWith(".vsix");
  if (isOld && !built.includes(name) && !snapshot.includes(name))
    rmSync(join(DIST, name), { recursive: true });
}
writeFileSync(join(DIST, "evaluation.flags"), `${knownFlags(EVALUATION_FLAGS).join(" ")}\n`);
compileHeapPages();
await buildExtension();
writeFileSync(join(DIST, ".stamp"), "");

/** Those of V8's flags that this Node knows: all, or none of them. */
function knownFlags(flags: readonly string[]): readonly string[] {
  return spawnSync(process.execPath, [...flags, "-e", "0"], { stdio: "ignore" }).status === 0 ? flags : [];
}

/** Makes heapPages.so, which evaluators preload; they do without where there is no compiler or this Node does not like it. */
function compileHeapPages(): void {
  const library = join(DIST, "heapPages.so");
  const unfinished = `${library}.tmp-${process.pid}`;
  const source = join(ROOT, "cli/native/heapPages.cc");
  // Several words, where somebody caches what is compiled.
  const [program = "", ...words] = (process.env["CXX"] ?? "c++").split(" ");
  const options = [...words, "-std=c++17", "-O2", "-fPIC", "-shared", "-o", unfinished, source];
  const compiler = spawnSync(program, options, { encoding: "utf8" });
  // Fills a young and an old generation, and gives back what it took.
  const trial = "for (let round = 0; round < 3; round++) Array.from({ length: 1e6 }, (_, at) => ({ at }))";
  const env = { ...process.env, NODE_OPTIONS: "", LD_PRELOAD: unfinished };
  if (
    compiler.status === 0 &&
    spawnSync(process.execPath, ["-e", trial], { env, stdio: "ignore" }).status === 0
  ) {
    renameSync(unfinished, library);
    return;
  }
  for (const file of [unfinished, library]) rmSync(file, { force: true });
  const reason =
    compiler.status === 0
      ? "this Node does not run with it"
      : (compiler.error?.message ?? compiler.stderr.trim().slice(-1000));
  process.stderr.write(`devshell: evaluation will be slower, without heapPages.so: ${reason}\n`);
}

/**
 * Runs a bundle up to where its work would begin, and keeps the heap: NAME.blob. It fits the Node that made it, whose
 * path NAME.node holds and whose time of change it has; the launcher compares both. Without the two the bundle is
 * loaded, as ever.
 * @returns the files made
 */
function makeSnapshot(name: string): string[] {
  const node = `${name}.node`;
  const blob = `${name}.blob`;
  const unfinished = join(DIST, `${blob}.tmp-${process.pid}`);
  const config = join(STAGING, `${name}.json`);
  // Without a "code cache" Node also leaves out the bytecode of what has run; it is cut off below.
  writeFileSync(config, JSON.stringify({ builder: join(DIST, `${name}.cjs`), withoutCodeCache: false }));
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--disable-warning=Warning", "--snapshot-blob", unfinished, "--build-snapshot-config", config],
    // A file and a pipe to write to: quickSnapshot.ts rehearses both.
    { encoding: "utf8", env: { ...process.env, NODE_OPTIONS: "" }, stdio: ["ignore", "ignore", "pipe"] },
  );
  if (status !== 0) {
    for (const file of [unfinished, join(DIST, node)]) rmSync(file, { force: true });
    process.stderr.write(
      `devshell: starts will be slower, V8 makes no snapshot: ${stderr.trim().slice(-1000)}\n`,
    );
    return [];
  }
  const trimmed = withoutModuleCode(readFileSync(unfinished));
  if (trimmed !== undefined) {
    const short = `${unfinished}.trimmed`;
    writeFileSync(short, trimmed);
    if (starts(short)) renameSync(short, unfinished);
    else rmSync(short);
  }
  writeFileSync(join(DIST, node), `${process.execPath}\n`);
  // To the nanosecond, which Node's own utimes has not.
  execFileSync("touch", ["-r", process.execPath, join(DIST, node)]);
  renameSync(unfinished, join(DIST, blob));
  return [node, blob];
}

/** Whether a process that starts from a snapshot evaluates. */
function starts(blob: string): boolean {
  const words = ["--snapshot-blob", blob, join(DIST, "quickMain.cjs"), "eval", "-E", "1 + 1"];
  const env = { ...process.env, NODE_OPTIONS: "", DEVSHELL_ARGV0: "devshell", DEVSHELL_EVAL_CACHE: "off" };
  return spawnSync(process.execPath, words, { encoding: "utf8", env }).stdout === "2\n";
}
