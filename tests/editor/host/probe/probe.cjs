// probe - runs the functions that callHost sends, one a connection, in the extension host that it lives in.
"use strict";
const { createServer } = require("node:net");
const { join } = require("node:path");
const { text } = require("node:stream/consumers");
const { runInThisContext } = require("node:vm");
const vscode = require("vscode");

exports.activate = (context) => {
  // Names sort by age, so that a window's newest host is asked first.
  const path = join(process.env.DEVSHELL_EDITOR_PROBES, `${Date.now()}-${process.pid}`);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    answer(socket).then(
      (result) => socket.end(JSON.stringify(result)),
      (error) =>
        socket.end(
          JSON.stringify({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
        ),
    );
  });
  server.listen(path);
  context.subscriptions.push({ dispose: () => server.close() });
};

async function answer(socket) {
  const { opened, source, argument } = JSON.parse(await text(socket));
  const { workspaceFile, workspaceFolders } = vscode.workspace;
  const own = (workspaceFile ?? workspaceFolders?.[0]?.uri)?.path;
  if (own !== undefined && !opened.includes(own)) return { elsewhere: true };
  const body = runInThisContext(`(${source})`);
  return { value: await body({ vscode, require }, argument) };
}
