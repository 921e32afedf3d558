// buildExtension - bundles vscode-extension into its dist/: the extension, its web page, and schemas of the data spec.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, type BuildOptions, type BuildResult, type Plugin } from "esbuild";

const ROOT = resolve(import.meta.dirname, "..");
const EXTENSION = join(ROOT, "vscode-extension");
const SPEC_SCHEMA = join(ROOT, "env/spec/devshell.schema.json");

const common: BuildOptions = {
  bundle: true,
  minify: true,
  legalComments: "none",
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
};

const parsers = ["yaml", "smol-toml"];
/** Where the extension is started, most often no spec is open: the parsers, half of the code, are loaded by the first. */
const lazyParsers: Plugin = {
  name: "lazy-parsers",
  setup(hooks) {
    hooks.onResolve({ filter: new RegExp(`^(?:${parsers.join("|")})$`) }, ({ path }) => ({
      path,
      namespace: "lazy-parsers",
    }));
    hooks.onResolve({ filter: /^\.\/specParsers\.cjs$/ }, ({ path }) => ({ path, external: true }));
    hooks.onLoad({ filter: /.*/, namespace: "lazy-parsers" }, async ({ path }) => {
      const names = Object.keys((await import(path)) as object).filter((name) => name !== "default");
      return {
        contents: `for (const name of ${JSON.stringify(names)})
          Object.defineProperty(exports, name, {
            enumerable: true,
            get: () => require("./specParsers.cjs")[${JSON.stringify(path)}][name],
          });`,
        loader: "js",
      };
    });
  },
};

/**
 * @param dist where to; written beside and renamed, so that an editor that is starting never reads half a file
 * @returns the packages that came into the bundles
 */
export async function buildExtension(dist = join(EXTENSION, "dist")): Promise<readonly string[]> {
  const entry = join(EXTENSION, "src/extension.ts");
  const page = ["main.ts", "main.tsx"].map((name) => join(EXTENSION, "webview", name)).find(existsSync);
  const staging = `${dist}.tmp-${process.pid}`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  try {
    const written = Object.entries(specSchemas());
    for (const [name, text] of written) writeFileSync(join(staging, name), text);
    const names = written.map(([name]) => name);
    const bundles: Promise<BuildResult<{ metafile: true }>>[] = [];
    if (existsSync(entry)) {
      names.push("specParsers.cjs", "extension.cjs");
      const node: BuildOptions = {
        ...common,
        format: "cjs",
        platform: "node",
        // The Node of VS Code 1.100's servers.
        target: "node20",
        keepNames: true,
      };
      bundles.push(
        build({
          ...node,
          metafile: true,
          stdin: {
            contents: parsers.map((name) => `export * as "${name}" from "${name}";`).join("\n"),
            resolveDir: EXTENSION,
          },
          outfile: join(staging, "specParsers.cjs"),
        }),
        build({
          ...node,
          metafile: true,
          entryPoints: [entry],
          outfile: join(staging, "extension.cjs"),
          external: ["vscode"],
          plugins: [lazyParsers],
        }),
      );
    }
    if (page !== undefined) {
      names.push("webview.js", "webview.css");
      bundles.push(
        build({
          ...common,
          metafile: true,
          entryPoints: { webview: page },
          outdir: staging,
          format: "iife",
          platform: "browser",
          target: "chrome132",
          jsx: "automatic",
        }),
      );
    }
    const results = await Promise.all(bundles);
    mkdirSync(dist, { recursive: true });
    for (const name of names)
      if (existsSync(join(staging, name))) renameSync(join(staging, name), join(dist, name));
    const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
    const packages = inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []);
    return [...new Set(packages)].sort();
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The spec's schema as VS Code's JSON support takes it (draft 7), for the spec itself and inside package.json. */
export function specSchemas(): Record<"devshell.schema.json" | "package.schema.json", string> {
  const { $id: _, ...schema } = JSON.parse(readFileSync(SPEC_SCHEMA, "utf8")) as Record<string, unknown>;
  const $schema = "http://json-schema.org/draft-07/schema#";
  const inPackage = { type: "object", properties: { devshell: { ...schema, $schema: undefined } } };
  return {
    "devshell.schema.json": `${JSON.stringify({ ...schema, $schema }, undefined, 2)}\n`,
    "package.schema.json": `${JSON.stringify({ $schema, ...inPackage }, undefined, 2)}\n`,
  };
}
