import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DebianTree } from "./debianTree.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";

export interface NginxOptions {
  /** Made, and used for its own files. */
  readonly directory: string;
  /** What is within `server { … }`, beside where it listens. */
  readonly server: string;
  /** What is within `http { … }`. */
  readonly http?: string;
  readonly certificates?: Certificates;
}

export interface Certificates {
  /** Of the authority, which nobody else knows. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** One line of its log. */
export interface ServedRequest {
  readonly connection: string;
  readonly status: number;
  readonly line: string;
  readonly range: string;
}

export class NginxServer implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly #process: ServerProcess;
  readonly #accessLog: string;

  private constructor(server: ServerProcess, url: string, accessLog: string) {
    this.#process = server;
    this.port = server.port;
    this.url = url;
    this.#accessLog = accessLog;
  }

  static async start(tree: DebianTree, options: NginxOptions): Promise<NginxServer> {
    const { directory, certificates } = options;
    mkdirSync(directory, { recursive: true });
    const port = await freePort();
    const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${directory}/${name};`)
      .join(" ");
    const tls = certificates
      ? `ssl_certificate ${certificates.certificate}; ssl_certificate_key ${certificates.key};`
      : "";
    const accessLog = join(directory, "access.log");
    const config = join(directory, "nginx.conf");
    writeFileSync(
      config,
      `${process.geteuid?.() === 0 ? "user root; " : ""}daemon off; pid ${directory}/pid; error_log stderr; worker_processes 1;
events { worker_connections 1024; }
http {
  log_format told '$connection|$status|$request|$http_range'; access_log ${accessLog} told;
  sendfile on; ${places}
  ${options.http ?? ""}
  server {
    listen 127.0.0.1:${port}${certificates ? " ssl" : ""}; ${tls}
    ${options.server}
  }
}
`,
    );
    const argv = [tree.program("nginx"), "-p", directory, "-e", "stderr", "-c", config];
    const server = await ServerProcess.start(port, argv);
    return new NginxServer(server, `http${certificates ? "s" : ""}://127.0.0.1:${port}`, accessLog);
  }

  requests(): ServedRequest[] {
    if (!existsSync(this.#accessLog)) return [];
    const lines = readFileSync(this.#accessLog, "utf8").split("\n");
    return lines
      .filter((line) => line !== "")
      .map((text) => {
        const [connection = "", status = "", line = "", range = ""] = text.split("|");
        return { connection, status: Number(status), line, range };
      });
  }

  get log(): string {
    return this.#process.log;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** An authority of our own, and a certificate of its for this machine. */
export function makeCertificates(tree: DebianTree, directory: string): Certificates {
  mkdirSync(directory, { recursive: true });
  const at = (name: string): string => join(directory, name);
  writeFileSync(
    at("openssl.cnf"),
    `[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
subjectAltName = DNS:localhost, IP:127.0.0.1
`,
  );
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync(tree.program("openssl"), args, {
      encoding: "utf8",
      env: { OPENSSL_CONF: at("openssl.cnf") },
    });
    if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const authority = ["-keyout", at("authority.key"), "-out", at("authority.pem"), "-subj", "/CN=authority"];
  openssl("req", "-x509", ...key, ...authority, "-days", "2", "-extensions", "authority");
  openssl("req", ...key, "-keyout", at("server.key"), "-out", at("server.csr"), "-subj", "/CN=server");
  const signer = ["-CA", at("authority.pem"), "-CAkey", at("authority.key"), "-CAcreateserial"];
  const extensions = ["-extfile", at("openssl.cnf"), "-extensions", "server"];
  openssl(
    "x509",
    "-req",
    "-in",
    at("server.csr"),
    "-out",
    at("server.pem"),
    "-days",
    "2",
    ...signer,
    ...extensions,
  );
  return { authority: at("authority.pem"), certificate: at("server.pem"), key: at("server.key") };
}
