import { describe, expect, it } from "vitest";
import { splitSshOptions } from "../../../store/ssh/splitSshOptions.ts";
import { parseSshAddress, sshAddressOf } from "../../../store/ssh/sshAddress.ts";
import { sshCommandLine } from "../../../store/ssh/sshCommandLine.ts";

describe("parseSshAddress", () => {
  it.each([
    ["ssh://host", { user: undefined, host: "host", port: undefined }],
    ["ssh-ng://user@host:2222", { user: "user", host: "host", port: 2222 }],
    ["ssh://a@b@host/", { user: "a@b", host: "host" }],
    ["ssh://[::1]:22", { host: "::1", port: 22 }],
    ["ssh://fe80::1", { host: "fe80::1", port: undefined }],
    ["ssh://[fe80::1%eth0]", { host: "fe80::1%eth0" }],
    ["ssh://us%20er@host", { user: "us er", host: "host" }],
  ])("%s", (url, address) => {
    expect(parseSshAddress(url)).toMatchObject({ url, ...address });
  });

  it("takes parameters, in which another address may stand with its own", () => {
    const url = "ssh://localhost?remote-store=/m?system-features=foo%20bar&ssh-key=/k%26";
    expect([...parseSshAddress(url).parameters]).toEqual([
      ["remote-store", "/m?system-features=foo bar"],
      ["ssh-key", "/k&"],
    ]);
  });

  it.each([
    "ssh://",
    "ssh://@host",
    "ssh://-oProxyCommand=x",
    "ssh://%2doProxyCommand=x",
    "ssh://-user@host",
    "ssh://host:0",
    "ssh://host:99999",
    "ssh://host:x",
    "ssh://host/path/",
    "ssh://[::1",
  ])("not %s", (url) => {
    expect(() => parseSshAddress(url)).toThrow(/invalid SSH authority/);
  });

  it("of a word of nix-copy-closure", () => {
    expect(sshAddressOf("me@there")).toMatchObject({ url: "ssh://me@there", user: "me", host: "there" });
    expect(() => sshAddressOf("-there")).toThrow(/must not start with '-'/);
  });
});

describe("splitSshOptions", () => {
  it.each([
    ["", []],
    ["  -p 22\t-i key ", ["-p", "22", "-i", "key"]],
    [`-o 'ProxyCommand=nc %h' -i "a b"`, ["-o", "ProxyCommand=nc %h", "-i", "a b"]],
    [String.raw`a\ b "c\"d" 'e\f' ''`, ["a b", 'c"d', String.raw`e\f`, ""]],
  ])("%s", (text, words) => {
    expect(splitSshOptions(text)).toEqual(words);
  });

  it("refuses an open quote", () => {
    expect(() => splitSshOptions("-o 'x")).toThrow(/while splitting NIX_SSHOPTS/);
  });
});

describe("sshCommandLine", () => {
  const command = ["nix-store", "--serve", "--write"];

  it("is ssh with all that the address and NIX_SSHOPTS say", () => {
    const address = parseSshAddress("ssh://me@there:22?ssh-key=/key&compress=true");
    expect(sshCommandLine(address, command, { sshOptions: "-v -F none", hostKeyFile: "/known" })).toEqual([
      "ssh",
      "me@there",
      "-x",
      "-v",
      "-F",
      "none",
      "-i",
      "/key",
      "-oUserKnownHostsFile=/known",
      "-C",
      "-p22",
      "--",
      ...command,
    ]);
  });

  it("quotes what the other side's shell would take apart", () => {
    const words = sshCommandLine(sshAddressOf("there"), [...command, "--store", "/a b?x=y&z='"]);
    expect(words.slice(-2)).toEqual(["--store", String.raw`'/a b?x=y&z='\'''`]);
  });

  it("is the command itself on this machine", () => {
    expect(sshCommandLine(sshAddressOf("localhost"), command)).toEqual(command);
    expect(sshCommandLine(sshAddressOf("me@localhost"), command)[0]).toBe("ssh");
  });
});
