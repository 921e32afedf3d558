// Runs in the extension host; spec.test.ts starts it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as vscode from "vscode";
import { folder, ready, until } from "./hostApi.ts";
import { test } from "./host/runner.ts";

const YAML = 0;
const TOML = 1;
const JSON_SPEC = 2;
const NIX = 3;

const originals = new Map<string, string>();

/** As it was at first, whatever a test before has left. */
async function open(index: number, name: string): Promise<vscode.TextDocument> {
  const uri = vscode.Uri.file(join(folder(index).uri.fsPath, name));
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document);
  const original = originals.get(uri.path) ?? document.getText();
  originals.set(uri.path, original);
  if (document.getText() !== original) await write(document, original);
  if (document.isDirty) await document.save();
  return document;
}

/** Makes the document's text another, unsaved. @returns where the mark `¦` stood */
async function write(document: vscode.TextDocument, marked: string): Promise<vscode.Position> {
  const edit = new vscode.WorkspaceEdit();
  const all = new vscode.Range(0, 0, document.lineCount, 0);
  edit.replace(document.uri, all, marked.replace("¦", ""));
  assert.ok(await vscode.workspace.applyEdit(edit));
  return document.positionAt(Math.max(0, marked.indexOf("¦")));
}

/** What is offered, the editor's own words from the text apart. */
async function offered(document: vscode.TextDocument, at: vscode.Position): Promise<vscode.CompletionItem[]> {
  const list = await vscode.commands.executeCommand<vscode.CompletionList>(
    "vscode.executeCompletionItemProvider",
    document.uri,
    at,
  );
  return list.items.filter(({ kind }) => kind !== vscode.CompletionItemKind.Text);
}

const labelOf = ({ label }: vscode.CompletionItem): string =>
  typeof label === "string" ? label : label.label;
const snippetOf = ({ insertText }: vscode.CompletionItem): string =>
  typeof insertText === "string" ? insertText : (insertText?.value ?? "");

async function hover(document: vscode.TextDocument, word: string): Promise<string> {
  const at = document.positionAt(document.getText().indexOf(word) + 1);
  const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
    "vscode.executeHoverProvider",
    document.uri,
    at,
  );
  return hovers
    .flatMap(({ contents }) => contents)
    .map((content) => (typeof content === "string" ? content : content.value))
    .join("\n");
}

const ours = (uri: vscode.Uri): vscode.Diagnostic[] =>
  vscode.languages.getDiagnostics(uri).filter(({ source }) => source === "devshell");

const codeOf = ({ code }: vscode.Diagnostic): unknown => (typeof code === "object" ? code.value : code);

/** Our diagnostics once there are as many, with what they mark. */
/** Waits until our problems are these: what was said of an earlier text stands for a moment. */
async function hasProblems(document: vscode.TextDocument, ...wanted: readonly string[]): Promise<void> {
  await until(`the problems are ${wanted.join(", ")}`, () => {
    const found = said(document);
    return found.length === wanted.length && found.every((each, n) => each === wanted[n]) ? true : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${said(document).join(", ")}`);
  });
}

function said(document: vscode.TextDocument): string[] {
  return ours(document.uri).map(
    (one) => `${one.range.start.line + 1} ${String(codeOf(one))} ${document.getText(one.range)}`,
  );
}

/** The same is said all the time that a run of the CLI takes, and longer. */
async function stays(document: vscode.TextDocument, expected: readonly string[]): Promise<void> {
  for (const endMs = Date.now() + 4_000; Date.now() < endMs; await sleep(20))
    assert.deepEqual(said(document), expected);
}

async function fixes(document: vscode.TextDocument): Promise<vscode.CodeAction[]> {
  const [problem] = ours(document.uri);
  assert.ok(problem);
  return await vscode.commands.executeCommand<vscode.CodeAction[]>(
    "vscode.executeCodeActionProvider",
    document.uri,
    problem.range,
    vscode.CodeActionKind.QuickFix.value,
  );
}

/** Applies a quick fix by its title. */
async function fix(document: vscode.TextDocument, title: string): Promise<void> {
  const actions = await fixes(document);
  const action = actions.find((one) => one.title === title);
  assert.ok(action?.edit, `"${title}" is among ${actions.map((one) => one.title).join(", ")}`);
  assert.ok(await vscode.workspace.applyEdit(action.edit));
}

test("all environments are there, and no problem", async () => {
  await ready();
  for (const [index, name] of ["devshell.yaml", "devshell.toml", "devshell.json", "shell.nix"].entries())
    assert.deepEqual(ours((await open(index, name)).uri), []);
});

test("YAML: fields with snippets, values, variables", async () => {
  const document = await open(YAML, "devshell.yaml");
  const text = document.getText();
  const fields = await offered(document, await write(document, `${text}¦`));
  const labels = fields.map(labelOf);
  assert.ok(labels.includes("shellHook") && labels.includes("suite"), labels.join());
  assert.ok(!labels.includes("packages"));
  assert.equal(
    snippetOf(fields.find((item) => labelOf(item) === "unset") ?? new vscode.CompletionItem("")),
    "unset:\n  - $0",
  );
  const values = await offered(document, await write(document, `${text}pure: ¦`));
  assert.deepEqual(values.map(labelOf), ["true", "false"]);
  const names = await offered(document, await write(document, `${text}keep:\n  - ¦`));
  assert.ok(names.map(labelOf).includes("GREETING"));
  await write(document, text);
});

test("YAML: packages of the collection", async () => {
  const document = await open(YAML, "devshell.yaml");
  const text = document.getText();
  const marked = text.replace("  - tool\n", "  - to¦\n");
  const found = await offered(document, await write(document, marked));
  await write(document, text);
  await document.save();
  assert.deepEqual(found.map(labelOf), ["tool"]);
});

test("YAML: hovers say what fields are, what variables have become, and no secret", async () => {
  const document = await open(YAML, "devshell.yaml");
  assert.match(await hover(document, "packages"), /Packages that the environment has/);
  assert.match(await hover(document, "GREETING"), /hello/);
  assert.match(await hover(document, "check:"), /devshell run check/);
  assert.match(await hover(document, "tool"), /In use: `\/.*-tool-1\.0`/);
  const secret = await hover(document, "API_TOKEN");
  assert.match(secret, /API\\?_TOKEN/);
  assert.doesNotMatch(secret, /hunter2/);
});

test("YAML: an unknown field is marked while it is typed, once after it is saved, and mended", async () => {
  const document = await open(YAML, "devshell.yaml");
  const text = document.getText();
  await write(document, text.replace("packages:", "pakages:"));
  await hasProblems(document, "2 SPEC_INVALID pakages");
  assert.ok(document.isDirty);
  const [best, ...others] = await fixes(document);
  assert.deepEqual([best?.title, best?.isPreferred], ['Change to "packages"', true]);
  assert.deepEqual(
    others.map(({ title }) => title),
    ['Remove the field "pakages"'],
  );
  await document.save();
  // the CLI says the same: it is shown once
  await stays(document, ["2 SPEC_INVALID pakages"]);
  await fix(document, 'Change to "packages"');
  await document.save();
  assert.equal(document.getText(), text);
  await hasProblems(document);
  await stays(document, []);
});

test("YAML: an unknown package is marked at its place, the old environment kept; the quick fix recovers", async () => {
  const devshell = await ready();
  const document = await open(YAML, "devshell.yaml");
  const text = document.getText();
  await write(document, text.replace("- tool", '- "tol"'));
  await document.save();
  await hasProblems(document, '3 SPEC_PACKAGE "tol"');
  assert.ok(devshell.getReport(document.uri));
  const [best] = await fixes(document);
  assert.deepEqual([best?.title, best?.isPreferred], ['Change to "tool"', true]);
  await fix(document, 'Change to "tool"');
  assert.match(document.getText(), /- "tool"\n/);
  await document.save();
  await hasProblems(document);
  await write(document, text);
  await document.save();
});

test("YAML: a syntax error is marked on its line, and gone when it is mended", async () => {
  const document = await open(YAML, "devshell.yaml");
  const text = document.getText();
  await write(document, `${text}unset: [A\n`);
  const [problem] = await until("the error is told", () => {
    const found = said(document);
    return found.length === 1 ? found : undefined;
  });
  assert.match(problem ?? "", /^1?\d SPEC_SYNTAX/);
  await document.save();
  await stays(document, [problem ?? ""]);
  await write(document, text);
  await document.save();
  await hasProblems(document);
});

test("TOML: fields, tables, problems and mends", async () => {
  const document = await open(TOML, "devshell.toml");
  const text = document.getText();
  const fields = await offered(document, await write(document, `¦\n${text}`));
  assert.ok(fields.map(labelOf).includes("suite"));
  const tables = await offered(document, await write(document, `${text}[¦`));
  assert.deepEqual(tables.map(labelOf), ["scripts", "services", "args"]);
  await write(document, `${text}[scipts]\nbuild = "make"\n`);
  await hasProblems(document, "6 SPEC_INVALID scipts");
  await fix(document, 'Change to "scripts"');
  await hasProblems(document);
  await write(document, text.replace('["tool"]', '"tool"'));
  await hasProblems(document, '2 SPEC_INVALID "tool"');
  await fix(document, "Make it a list");
  assert.equal(document.getText(), text);
  await document.save();
  assert.match(await hover(document, "GREETING"), /hello/);
});

test("JSON: the editor's own support and ours say nothing twice", async () => {
  const document = await open(JSON_SPEC, "devshell.json");
  const text = document.getText();
  const at = await write(document, text.replace('"env"', '"¦",\n  "env"'));
  const labels = (
    await until("JSON support answers", async () => {
      const found = await offered(document, at);
      return found.length > 0 ? found : undefined;
    })
  ).map(labelOf);
  assert.equal(labels.filter((label) => label.replaceAll('"', "") === "shellHook").length, 1, labels.join());
  await write(document, text);
  const shown = await hover(document, "packages");
  assert.equal(shown.match(/Packages that the environment has/g)?.length, 1, shown);
  assert.match(await hover(document, "GREETING"), /hello/);
});

test("JSON: what the CLI says of a saved document is shown with its quick fix", async () => {
  const document = await open(JSON_SPEC, "devshell.json");
  const text = document.getText();
  await write(document, text.replace('"packages"', '"pakages"'));
  assert.deepEqual(ours(document.uri), []);
  await document.save();
  await hasProblems(document, '3 SPEC_INVALID "pakages"');
  await fix(document, 'Change to "packages"');
  await document.save();
  assert.equal(document.getText(), text);
  await hasProblems(document);
});

test("package.json: its own field is completed, and nothing else", async () => {
  const document = await open(JSON_SPEC, "other/package.json");
  const text = document.getText();
  const at = await write(document, text.replace("    \n", '    "¦"\n'));
  const labels = await until("JSON support answers", async () => {
    const found = (await offered(document, at)).map((item) => labelOf(item).replaceAll('"', ""));
    return found.includes("packages") ? found : undefined;
  });
  assert.equal(labels.filter((label) => label === "packages").length, 1);
  await write(document, text);
  await document.save();
  assert.deepEqual(ours(document.uri), []);
});

test("Nix: an undefined variable, a missing attribute and a syntax error are marked, mended, gone", async () => {
  const document = await open(NIX, "shell.nix");
  const text = document.getText();
  const cases = [
    [
      "collection.mkShell",
      "colection.mkShell",
      "4 LANG_UNDEFINED_VARIABLE colection",
      'Change to "collection"',
    ],
    ["collection.tool", "/* é𝒳 */ collection.tol", "6 LANG_ATTRIBUTE_MISSING tol", 'Change to "tool"'],
    ["collection.tool", "(with collection; toool)", "6 LANG_UNDEFINED_VARIABLE toool", 'Change to "tool"'],
    ["tool ];", "tool ;", "6 LANG_PARSE ;", undefined],
  ] as const;
  for (const [whole, broken, problem, title] of cases) {
    await write(document, text.replace(whole, broken));
    await document.save();
    await hasProblems(document, problem);
    if (title !== undefined) {
      const [best] = await fixes(document);
      assert.deepEqual([best?.title, best?.isPreferred], [title, true]);
      await fix(document, title);
    } else await write(document, text);
    await document.save();
    await hasProblems(document);
    // changes that follow each other too closely, again and again, would be taken for the runs' own doing
    await sleep(1_100);
  }
});

test("Nix: what is wrong in an imported file is marked there", async () => {
  const document = await open(NIX, "shell.nix");
  const part = vscode.Uri.file(join(folder(NIX).uri.fsPath, "part.nix"));
  const text = document.getText();
  await vscode.workspace.fs.writeFile(part, Buffer.from("\n  1 + undefd\n"));
  await write(document, text.replace('"nix"', '"nix${toString (import ./part.nix)}"'));
  await document.save();
  const [found] = await until("the imported file has a problem", () => {
    const all = ours(part);
    return all.length > 0 ? all : undefined;
  });
  assert.ok(found);
  assert.deepEqual(
    [codeOf(found), found.range.start.line, found.range.start.character, found.range.end.character],
    ["LANG_UNDEFINED_VARIABLE", 1, 6, 12],
  );
  assert.deepEqual(ours(document.uri), []);
  await vscode.workspace.fs.writeFile(part, Buffer.from("1\n"));
  await until("the mend is seen", () => (ours(part).length === 0 ? true : undefined));
});
