import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { signAwsRequest, type AwsCredentials } from "../../store/remote/binaryCache/awsSignature.ts";
import type { DebianTree } from "./debianTree.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";

const USER: AwsCredentials = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const OPEN = {
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:*",
      Resource: ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
    },
  ],
};

/** Ceph's gateway, which speaks S3, with a database instead of a cluster behind it, a user, and `bucket`. */
export class S3Server implements AsyncDisposable {
  readonly port: number;
  /** The user's, in the variables that clients know. */
  readonly login = { AWS_ACCESS_KEY_ID: USER.accessKeyId, AWS_SECRET_ACCESS_KEY: USER.secretAccessKey };
  readonly #process: ServerProcess;

  private constructor(server: ServerProcess) {
    this.port = server.port;
    this.#process = server;
  }

  static async start(tree: DebianTree, directory: string): Promise<S3Server> {
    mkdirSync(join(directory, "db"), { recursive: true });
    const config = join(directory, "ceph.conf");
    writeFileSync(
      config,
      `[global]
fsid = 5b3c1a0e-0000-4000-8000-000000000001
run_dir = ${directory}
admin_socket =
log_file =
log_to_stderr = true
rgw_backend_store = dbstore
rgw_config_store = dbstore
dbstore_db_dir = ${directory}/db
dbstore_config_uri = file:${directory}/db/config.db
rgw_data = ${directory}/data
`,
    );
    const port = await freePort();
    const common = ["--no-mon-config", "-c", config];
    const frontend = ["--rgw-frontends", `beast endpoint=127.0.0.1:${port}`];
    const argv = [tree.program("radosgw"), "-f", "-n", "client.rgw", ...common, ...frontend];
    const server = new S3Server(await ServerProcess.start(port, argv, { HOME: directory }));
    const keys = ["--access-key", USER.accessKeyId, "--secret-key", USER.secretAccessKey];
    const user = ["user", "create", "--uid", "tester", "--display-name", "tester", ...keys];
    const made = spawnSync(tree.program("radosgw-admin"), [...common, ...user], {
      encoding: "utf8",
      env: { HOME: directory },
    });
    if (made.status !== 0) throw new Error(`radosgw-admin: ${made.stderr}`);
    await server.#put("bucket");
    return server;
  }

  /** Whoever asks may do anything, unsigned too. */
  async open(): Promise<void> {
    await this.#put("bucket?policy", JSON.stringify(OPEN));
  }

  /** Its requests, a line each. */
  get log(): string {
    return this.#process.log;
  }

  async #put(name: string, body = ""): Promise<void> {
    const url = new URL(`http://127.0.0.1:${this.port}/${name}`);
    const request = { method: "PUT", url, region: "us-east-1", service: "s3", headers: {} };
    const headers = signAwsRequest({ ...request, payloadHash: "UNSIGNED-PAYLOAD", date: new Date() }, USER);
    const answer = await fetch(url, { method: "PUT", headers, body });
    if (!answer.ok) throw new Error(`PUT ${url.href}: ${answer.status} ${await answer.text()}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
