export interface Template {
  readonly name: string;
  readonly summary: string;
}

/** What `devshell init` lists: a name and, after two blanks or more, what is in it. */
export function parseTemplates(stdout: string): readonly Template[] {
  return stdout.split("\n").flatMap((line) => {
    const [, name, summary = ""] = /^([\w.+-]+)(?:\s{2,}(.*))?$/.exec(line.trimEnd()) ?? [];
    return name === undefined ? [] : [{ name, summary: summary.trim() }];
  });
}
