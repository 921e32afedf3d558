// build - bundles cli/main and every *.worker.ts into dist/*.mjs; dist/.stamp is written last (scripts/setup reads it).
import { existsSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");
const STAGING = join(ROOT, `dist.tmp-${process.pid}`);
const FOLDERS = ["core", "lang", "store", "packages", "env", "shell", "cli"];

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
await build({
  entryPoints,
  outdir: STAGING,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  splitting: true,
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
});
writeFileSync(join(STAGING, ".stamp"), "");
rmSync(DIST, { recursive: true, force: true });
renameSync(STAGING, DIST);
