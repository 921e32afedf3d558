import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/** A Debian mirror on this machine that keeps what it was asked for, so that it asks the real one only once. */
export interface RecordingMirror extends AsyncDisposable {
  /** For `DEVSHELL_DEBIAN_MIRROR`. */
  readonly urls: string;
}

/** @param upstream the archive and its security archive, without a trailing slash */
export async function startRecordingMirror(
  directory: string,
  upstream: { readonly main: string; readonly security: string },
): Promise<RecordingMirror> {
  const bases: Readonly<Record<string, string>> = {
    "/debian/": upstream.main,
    "/debian-security/": upstream.security,
  };
  mkdirSync(directory, { recursive: true });
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    const prefix = Object.keys(bases).find((start) => url.startsWith(start)) ?? "";
    const file = join(directory, createHash("sha256").update(url).digest("hex"));
    void (async () => {
      if (!existsSync(file)) {
        const answer = await fetch(`${bases[prefix] ?? ""}/${url.slice(prefix.length)}`);
        if (!answer.ok) {
          response.writeHead(answer.status).end();
          return;
        }
        const part = `${file}.${Math.random()}`;
        writeFileSync(part, Buffer.from(await answer.arrayBuffer()));
        renameSync(part, file);
      }
      response.writeHead(200, { "content-length": statSync(file).size });
      if (request.method === "HEAD") response.end();
      else
        createReadStream(file)
          .on("error", () => response.destroy())
          .pipe(response);
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    urls: `http://127.0.0.1:${port}/debian http://127.0.0.1:${port}/debian-security`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
