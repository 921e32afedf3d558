// A plain web server for a directory: `serveFiles.ts DIRECTORY` prints its address.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";

const [directory = "."] = process.argv.slice(2);
const server = createServer((request, response) => {
  const file = join(directory, normalize(`/${decodeURIComponent(request.url ?? "")}`));
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile() !== true) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-length": stats.size });
  if (request.method === "HEAD") response.end();
  else createReadStream(file, { highWaterMark: 1 << 20 }).pipe(response);
});
server.listen(0, "127.0.0.1", () =>
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`),
);
