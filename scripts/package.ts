// package - makes dist/devshell-<version>.vsix: the extension bundled anew, its README carrying its pictures.
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
    const readme = join(staging, "README.md");
    writeFileSync(readme, withPictures(readFileSync(readme, "utf8"), EXTENSION));
    const { name, version } = JSON.parse(readFileSync(join(staging, "package.json"), "utf8")) as {
      readonly name: string;
      readonly version: string;
    };
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${name}-${version}.vsix`);
    const unfinished = `${file}.tmp-${process.pid}`;
    await createVSIX({
      cwd: staging,
      packagePath: unfinished,
      dependencies: false,
      allowMissingRepository: true,
      // The README's links lead into itself, and its pictures are in it.
      rewriteRelativeLinks: false,
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
 * The editor shows an installed extension's README without the files beside it: pictures become `data:` addresses.
 * @param directory what the pictures' paths are relative to
 */
export function withPictures(markdown: string, directory: string): string {
  return markdown.replaceAll(
    /(!\[[^\]]*\]\()([^):]+\.png)(\))/g,
    (_, before: string, path: string, after: string) => {
      const picture = readFileSync(join(directory, path)).toString("base64");
      return `${before}data:image/png;base64,${picture}${after}`;
    },
  );
}

if (import.meta.main) {
  const file = await packageExtension();
  process.stdout.write(`${relative(process.cwd(), file)} (${Math.ceil(statSync(file).size / 1024)} KiB)\n`);
}
