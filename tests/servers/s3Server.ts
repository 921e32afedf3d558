import type { DebianTree } from "./debianTree.ts";
import { ServerProcess, freePort } from "./serverProcess.ts";

const OPEN = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:*", Resource: "arn:aws:s3:::bucket/*" }],
};

/** Amazon's S3 as moto has it: objects in memory, signatures and rights checked. */
export class S3Server implements AsyncDisposable {
  readonly port: number;
  /** Of the one who may use the bucket, in the variables that clients know. */
  readonly login: Readonly<Record<"AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY", string>>;
  readonly #process: ServerProcess;

  private constructor(server: ServerProcess, login: S3Server["login"]) {
    this.port = server.port;
    this.#process = server;
    this.login = login;
  }

  /** @param isOpen everybody may do anything, unsigned too: real Nix is often built without what signs */
  static async start(tree: DebianTree, directory: string, isOpen = false): Promise<S3Server> {
    const port = await freePort();
    const argv = [tree.program("python3"), "-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)];
    // Nobody may do anything once these have been asked: the bucket, the user, their key, their rights.
    const server = await ServerProcess.start(port, argv, {
      HOME: directory,
      ...(!isOpen && { INITIAL_NO_AUTH_ACTION_COUNT: "4" }),
    });
    const url = `http://127.0.0.1:${port}`;
    await ask("s3", `${url}/bucket`, { method: "PUT" });
    if (isOpen) await ask("s3", `${url}/bucket?policy`, { method: "PUT", body: JSON.stringify(OPEN) });
    await askIam(url, "CreateUser", {});
    const key = await askIam(url, "CreateAccessKey", {});
    const rights = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }] };
    await askIam(url, "PutUserPolicy", { PolicyName: "all", PolicyDocument: JSON.stringify(rights) });
    const part = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(key)?.[1] ?? "";
    return new S3Server(server, {
      AWS_ACCESS_KEY_ID: part("AccessKeyId"),
      AWS_SECRET_ACCESS_KEY: part("SecretAccessKey"),
    });
  }

  /** Its requests, a line each. */
  get log(): string {
    return this.#process.log;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

function askIam(url: string, action: string, parameters: Readonly<Record<string, string>>): Promise<string> {
  const body = new URLSearchParams({
    Action: action,
    Version: "2010-05-08",
    UserName: "tester",
    ...parameters,
  });
  return ask("iam", url, { method: "POST", body });
}

/** One server for all of Amazon's services: whom a request is for the signature's scope says. */
async function ask(service: string, url: string, request: RequestInit): Promise<string> {
  const scope = `AWS4-HMAC-SHA256 Credential=nobody/20200101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=none`;
  const answer = await fetch(url, { ...request, headers: { authorization: scope } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${request.method} ${url}: ${answer.status} ${text}`);
  return text;
}
