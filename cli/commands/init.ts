import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { DevshellError, packageRoot } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";

/** `devshell init TEMPLATE [DIRECTORY]`: copies a starter; nothing that is there is written over. */
export function run({ words, flags }: Invocation): number {
  const source = join(packageRoot, "templates");
  const templates = readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
  const [template, target = "."] = words;
  if (template === undefined) {
    for (const name of templates)
      process.stdout.write(`${name.padEnd(8)}  ${summaryOf(join(source, name))}\n`);
    return 0;
  }
  if (!templates.includes(template))
    throw new DevshellError("CLI_UNKNOWN_TEMPLATE", `Cannot find a template named "${template}"`, {
      hint: `there are ${templates.join(", ")}`,
    });
  const from = join(source, template);
  const to = resolve(target);
  const files = readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(from, join(entry.parentPath, entry.name)));
  const taken = files.filter((file) => existsSync(join(to, file)));
  if (taken.length > 0 && !flags.has("force"))
    throw new DevshellError(
      "CLI_INIT_EXISTS",
      `Cannot write ${taken.map((file) => `"${file}"`).join(", ")}: already there`,
      {
        hint: "choose another directory, or give --force to write over them",
      },
    );
  mkdirSync(to, { recursive: true });
  for (const file of files) cpSync(join(from, file), join(to, file), { force: true });
  const where = relative(process.cwd(), to);
  process.stdout.write(
    `${files.length} files of template ${template} written; ${where === "" ? "" : `cd ${where}, then `}enter with \`devshell\`\n`,
  );
  return 0;
}

function summaryOf(directory: string): string {
  const spec = join(directory, "devshell.yaml");
  if (!existsSync(spec)) return "";
  const packages = /^packages:\n((?: +- .*\n?)*)/m.exec(readFileSync(spec, "utf8"))?.[1] ?? "";
  return packages.replace(/ +- /g, "").trim().split("\n").join(", ");
}
