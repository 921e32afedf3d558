// package - makes dist/devshell-<version>.vsix: the extension bundled anew.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { createVSIX } from "@vscode/vsce";
import { buildExtension } from "./buildExtension.ts";

const ROOT = resolve(import.meta.dirname, "..");
const EXTENSION = join(ROOT, "vscode-extension");
/** Made anew or not part of it. */
const LEFT_OUT = new Set(["dist", "src", "webview", "node_modules"]);

/** @returns the path of the .vsix; written beside and renamed */
export async function packageExtension(directory = join(ROOT, "dist")): Promise<string> {
  const staging = mkdtempSync(join(tmpdir(), "devshell-vsix-"));
  try {
    cpSync(EXTENSION, staging, {
      recursive: true,
      filter: (source) =>
        !LEFT_OUT.has(relative(EXTENSION, source)) && !basename(source).startsWith("dist.tmp-"),
    });
    const bundled = await buildExtension(join(staging, "dist"));
    writeFileSync(join(staging, "ThirdPartyNotices.txt"), bundled.map(noticeOf).join("\n"));
    const { name, version, repository } = JSON.parse(readFileSync(join(staging, "package.json"), "utf8")) as {
      readonly name: string;
      readonly version: string;
      readonly repository?: unknown;
    };
    if (repository === undefined) {
      const readme = join(staging, "README.md");
      writeFileSync(readme, withoutPictures(readFileSync(readme, "utf8")));
    }
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${name}-${version}.vsix`);
    const unfinished = `${file}.tmp-${process.pid}`;
    await createVSIX({
      cwd: staging,
      packagePath: unfinished,
      dependencies: false,
      allowMissingRepository: true,
      rewriteRelativeLinks: repository !== undefined,
    });
    renameSync(unfinished, file);
    return file;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The licence of a package whose code the bundles have in them; all that they may contain ask for this. */
function noticeOf(name: string): string {
  const directory = join(ROOT, "node_modules", name);
  const { version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    version: string;
  };
  const licence = readdirSync(directory).find((file) => /^licen[cs]e(?:\.\w+)?$/i.test(file));
  if (licence === undefined) throw new Error(`Cannot package "${name}": it comes without a licence`);
  return `${name} ${version}\n\n${readFileSync(join(directory, licence), "utf8")}`;
}

/**
 * The editor shows pictures of an installed extension's README from https addresses alone: those beside it are left out
 * where no repository says where they can be had. The walkthrough has them all.
 */
export function withoutPictures(markdown: string): string {
  return markdown.replaceAll(/^!\[[^\]]*\]\((?!https:)[^)]*\)\n\n?/gm, "");
}

if (import.meta.main) {
  const file = await packageExtension();
  process.stdout.write(`${relative(process.cwd(), file)} (${Math.ceil(statSync(file).size / 1024)} KiB)\n`);
}
