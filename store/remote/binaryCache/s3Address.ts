import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { DevshellError } from "../../../core/index.ts";
import type { MakeHeaders } from "../../../io/index.ts";
import { signAwsRequest, type AwsCredentials } from "./awsSignature.ts";
import type { StoreAddress } from "../storeAddress.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a bucket's files are on the web, and how requests for them are signed. */
export interface S3Place {
  readonly base: string;
  /** Undefined where no credentials are known: public buckets need none. */
  readonly headers: MakeHeaders | undefined;
}

/** Bodies are large, and what they hold is checked by other means. */
const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
const DEFAULT_REGION = "us-east-1";
const BUCKET = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$/;

/**
 * Reads `s3://BUCKET[/PREFIX][?region=…&endpoint=…&scheme=…&profile=…&addressing-style=…&storage-class=…]`.
 * @throws {DevshellError} `CACHE_PARAMETER`, `CACHE_UNUSABLE`
 */
export function placeOfS3(address: StoreAddress, env: Environment): S3Place {
  const { parameters } = address;
  const [bucket = "", ...prefix] = address.base.slice("s3://".length).split("/");
  if (!BUCKET.test(bucket))
    throw new DevshellError("CACHE_UNUSABLE", `Cannot open "${address.text}": "${bucket}" names no bucket`);
  const profile = parameters.get("profile") || env["AWS_PROFILE"] || "default";
  const files = awsFiles(env, profile);
  const region =
    parameters.get("region") ||
    env["AWS_REGION"] ||
    env["AWS_DEFAULT_REGION"] ||
    files.get("region") ||
    DEFAULT_REGION;
  const endpoint = parameters.get("endpoint") ?? "";
  const scheme = parameters.get("scheme") || "https";
  const style = parameters.get("addressing-style") || "auto";
  if (!["auto", "path", "virtual"].includes(style) || !/^https?$/.test(scheme))
    throw new DevshellError(
      "CACHE_PARAMETER",
      `Cannot open "${address.text}": "addressing-style" is auto, path or virtual, "scheme" https or http`,
    );
  const host = endpoint === "" ? `${scheme}://s3.${region}.amazonaws.com` : withScheme(endpoint, scheme);
  // A bucket with dots is no name that a wildcard certificate covers; other servers mostly know paths only.
  const isVirtual = style === "virtual" || (style === "auto" && endpoint === "" && !bucket.includes("."));
  const top = isVirtual ? host.replace("://", `://${bucket}.`) : `${host}/${bucket}`;
  const base = [top, ...prefix].join("/");
  const credentials = credentialsOf(env, files, parameters.has("profile"));
  const storageClass = parameters.get("storage-class") ?? "";
  const headersOf = (method: string, url: URL): Readonly<Record<string, string>> =>
    storageClass !== "" && makesObject(method, url) ? { "x-amz-storage-class": storageClass } : {};
  return {
    base,
    headers:
      credentials &&
      ((method, url) =>
        signAwsRequest(
          {
            method,
            url,
            region,
            service: "s3",
            headers: headersOf(method, url),
            payloadHash: UNSIGNED_PAYLOAD,
            date: new Date(),
          },
          credentials,
        )),
  };
}

/** By one `PUT`, or by the first request of several for its parts. */
function makesObject(method: string, { searchParams }: URL): boolean {
  return (method === "PUT" && !searchParams.has("partNumber")) || searchParams.has("uploads");
}

function withScheme(endpoint: string, scheme: string): string {
  return (/^https?:\/\//.test(endpoint) ? endpoint : `${scheme}://${endpoint}`).replace(/\/+$/, "");
}

/** A profile that was named comes before variables. */
function credentialsOf(
  env: Environment,
  files: ReadonlyMap<string, string>,
  isProfileNamed: boolean,
): AwsCredentials | undefined {
  const ofVariables = credentialsFrom((name) => env[name.toUpperCase()]);
  const ofFiles = credentialsFrom((name) => files.get(name));
  return isProfileNamed ? (ofFiles ?? ofVariables) : (ofVariables ?? ofFiles);
}

function credentialsFrom(get: (name: string) => string | undefined): AwsCredentials | undefined {
  const accessKeyId = get("aws_access_key_id");
  const secretAccessKey = get("aws_secret_access_key");
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: get("aws_session_token") || undefined };
}

/** A profile's settings in Amazon's own files. */
function awsFiles(env: Environment, profile: string): ReadonlyMap<string, string> {
  const home = `${env["HOME"] || homedir()}/.aws`;
  const config = sectionOf(
    env["AWS_CONFIG_FILE"] || `${home}/config`,
    profile === "default" ? profile : `profile ${profile}`,
  );
  return new Map([
    ...config,
    ...sectionOf(env["AWS_SHARED_CREDENTIALS_FILE"] || `${home}/credentials`, profile),
  ]);
}

function sectionOf(file: string, name: string): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return new Map();
  }
  const settings = new Map<string, string>();
  let isWanted = false;
  for (const line of text.split("\n")) {
    const section = /^\s*\[\s*(.*?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) isWanted = section === name;
    const setting = /^([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (isWanted && setting !== null) settings.set(setting[1] ?? "", setting[2] ?? "");
  }
  return settings;
}
