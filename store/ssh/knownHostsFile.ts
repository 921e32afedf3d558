import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError } from "../../core/index.ts";
import type { SshAddress } from "./sshAddress.ts";
import { isHere } from "./sshCommandLine.ts";

/**
 * A line of `known_hosts` for the key that an address pins, its kind and text in base 64
 * (`base64-ssh-public-host-key`); undefined where it pins none.
 * @throws {DevshellError} `SSH_ADDRESS_INVALID`
 */
export function pinnedHost(address: SshAddress): string | undefined {
  const { host, parameters } = address;
  const base64 = parameters.get("base64-ssh-public-host-key") ?? "";
  if (base64 === "" || isHere(address)) return undefined;
  const key = Buffer.from(base64, "base64").toString("latin1").trim();
  if (!/^[\w@.-]+ [A-Za-z0-9+/=]+( .*)?$/.test(key))
    throw new DevshellError("SSH_ADDRESS_INVALID", `Cannot read the public key of the host '${host}'`, {
      hint: "it is the base 64 of a line of /etc/ssh/ssh_host_*_key.pub",
    });
  return `${host} ${key}\n`;
}

/** A file of known hosts, for as long as a connection lasts. */
export class KnownHostsFile implements Disposable {
  readonly path: string;
  readonly #directory: string;

  constructor(text: string) {
    this.#directory = mkdtempSync(join(tmpdir(), "devshell-ssh-"));
    this.path = join(this.#directory, "known-hosts");
    writeFileSync(this.path, text);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
