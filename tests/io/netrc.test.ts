import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mayBeTold, netrcHeaders, parseNetrc } from "../../io/index.ts";

it("reads hosts, the default, comments and macros", () => {
  const text = `# mine
machine cache.example.org login me password s3cret
machine other.example.org
  login you # the usual
  password p#w
  account none
macdef init
machine not.example.org login x password y

default login guest password ""
machine cache.example.org login later password later
`;
  expect([...parseNetrc(text)]).toEqual([
    ["cache.example.org", { login: "me", password: "s3cret" }],
    ["other.example.org", { login: "you", password: "p#w" }],
    ["", { login: "guest", password: '""' }],
  ]);
});

it("logs in where the file names the host, and the address names nobody", () => {
  const directory = mkdtempSync(join(tmpdir(), "devshell-netrc-"));
  try {
    writeFileSync(join(directory, "netrc"), "machine cache.example.org login me password s3cret\n");
    const headers = netrcHeaders(join(directory, "netrc"));
    expect(headers("GET", new URL("https://cache.example.org/nix-cache-info"))).toEqual({
      authorization: `Basic ${Buffer.from("me:s3cret").toString("base64")}`,
    });
    expect(headers("GET", new URL("https://you@cache.example.org/"))).toEqual({});
    expect(headers("GET", new URL("https://elsewhere.example.org/"))).toEqual({});
    expect(netrcHeaders(join(directory, "absent"))("GET", new URL("https://cache.example.org/"))).toEqual({});
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it.each([
  ["http://a.example.org/x", "http://a.example.org/y", true],
  ["http://a.example.org/x", "https://a.example.org/x", true],
  ["https://a.example.org/x", "http://a.example.org/x", false],
  ["https://a.example.org/x", "https://b.example.org/x", false],
  ["http://a.example.org:8080/x", "http://a.example.org:8081/x", false],
])("what is meant for %s may be told at %s: %s", (from, to, isAllowed) => {
  expect(mayBeTold(new URL(from), new URL(to))).toBe(isAllowed);
});
