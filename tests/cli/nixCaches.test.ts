import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands } from "./testCommands.ts";

let t: TestCommands;
let cache: string;
let input: string;
let user: string;
let userDrv: string;

beforeAll(() => {
  t = new TestCommands();
  cache = `file://${join(t.root, "a cache+")}`.replaceAll(" ", "%20");
  writeFileSync(
    join(t.root, "default.nix"),
    `let make = name: script: derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      args = [ "-c" script ];
    };
    in rec {
      input = make "input" "mkdir $out; echo content > $out/file; ln -s file $out/link; echo a line";
      user = make "user" "mkdir $out; ln -s \${input} $out/input";
    }`,
  );
  input = output("nix-build", "-A", "input", "--no-out-link");
  userDrv = output("nix-instantiate", "-A", "user");
  user = output("nix-build", "-A", "user", "--no-out-link");
  expect(output("nix", "copy", "--to", `${cache}?compression=zstd`, user)).toBe("");
});

afterAll(() => t[Symbol.dispose]());

function output(command: string, ...args: string[]): string {
  const { status, out, err } = t.run(command, args);
  expect(err + String(status)).toMatch(/0$/);
  return out.replace(/\n$/, "");
}

function failure(...args: string[]): readonly [number | null, string] {
  const { status, err } = t.run("nix", args);
  return [status, err];
}

/** Into a store of its own, below a directory. */
function elsewhere(name: string, parameters = ""): string {
  return `${join(t.root, name)}?store=${join(t.root, "store")}&real=${join(t.root, name, "store")}${parameters}`;
}

describe("nix commands on a binary cache", () => {
  it("tell what it has", () => {
    expect(output("nix", "path-info", "--store", cache, user)).toBe(user);
    expect(output("nix", "path-info", "--store", cache, "--all").split("\n")).toEqual([input, user].sort());
    expect(
      output("nix", "path-info", "--store", cache, "-r", "-f", "default.nix", "user").split("\n"),
    ).toEqual([input, user].sort());
    const json = JSON.parse(
      output("nix", "path-info", "--store", cache, "--json", "--json-format", "2", user),
    );
    expect(json.info[basename(user)]).toMatchObject({
      compression: "zstd",
      deriver: basename(userDrv),
      references: [basename(input)],
      registrationTime: null,
      ultimate: false,
      url: expect.stringMatching(/^nar\/[0-9a-z]{52}\.nar\.zst$/),
    });
    expect(failure("path-info", "--store", cache, userDrv)).toEqual([
      1,
      expect.stringContaining("is not valid"),
    ]);
    expect(t.run("nix", ["store", "info", "--store", cache]).err).toContain(`Store URL: ${cache}\n`);
    expect(failure("store", "info", "--store", "file:///absent")[0]).toBe(1);
  });

  it("add texts to it as to any store", () => {
    const file = t.write("words", "a text");
    const path = output("nix-instantiate", "--eval", "-E", 'builtins.toFile "words" "a text"').slice(1, -1);
    const add = ["store", "add", "--mode", "text", file];
    expect(output("nix", ...add, "--dry-run")).toBe(path);
    const texts = `file://${join(t.root, "texts")}`;
    expect(output("nix", ...add, "--store", texts)).toBe(path);
    const json = JSON.parse(
      output("nix", "path-info", "--store", texts, "--json", "--json-format", "1", path),
    );
    expect(json[path].ca).toMatch(/^text:sha256:/);
    expect(output("nix", ...add)).toBe(path);
    expect(failure(...add, "--hash-algo", "sha1")).toEqual([
      1,
      expect.stringContaining("only sha256 is possible"),
    ]);
  });

  it("build for it only on machines", () => {
    const target = `file://${join(t.root, "filled")}`;
    const words = ["-A", "user", "--store", target];
    expect(t.run("nix-build", words).err).toContain("Unable to build with a primary store");
    t.write(
      "new.nix",
      `derivation {
      name = "new";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" "echo > $out" ];
    }`,
    );
    const dry = t.run("nix", ["build", "-f", "new.nix", "--dry-run", "--store", target]);
    expect([dry.status, dry.err]).toEqual([0, expect.stringMatching(/will be built:\n.*-new\.drv/)]);
    expect(output("nix-build", ...words, "--builders", "auto - - 1 1", "-j0")).toBe(user);
    expect(output("nix", "path-info", "--store", target, user)).toBe(user);
    expect(existsSync(join(t.root, "result"))).toBe(false);
    expect(output("nix-build", ...words, "-j0")).toBe(user);
    const nixBuild = ["build", "-f", "default.nix", "user", "--print-out-paths", "--store", target];
    expect(output("nix", ...nixBuild)).toBe(user);
  });

  it("are told by it what outputs turned out to be", () => {
    const floats = `file://${join(t.root, "floats")}`;
    t.write(
      "floating.nix",
      `derivation {
        name = "floating";
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [ "-c" "echo text > $out" ];
        __contentAddressed = true;
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
      }`,
    );
    const words = ["-f", "floating.nix", "--extra-experimental-features", "ca-derivations"];
    const path = output("nix", "build", ...words, "--no-link", "--print-out-paths");
    output("nix", "copy", "--to", floats, ...words);
    expect(output("nix", "build", "--store", floats, ...words, "--print-out-paths")).toBe(path);
    const env = { NIX_REMOTE: elsewhere("fresh") };
    const fetch = ["copy", "--from", floats, ...words];
    expect(t.run("nix", fetch, { env }).err).toContain("lacks a signature by a trusted key");
    expect(t.run("nix", [...fetch, "--no-check-sigs"], { env }).status).toBe(0);
    const { out } = t.run("nix", ["build", ...words, "--no-link", "--print-out-paths", "-j0"], { env });
    expect(out).toBe(`${path}\n`);
  });

  it("show its files", () => {
    expect(output("nix", "store", "cat", "--store", cache, `${input}/file`)).toBe("content");
    expect(output("nix", "store", "ls", "--store", cache, "-lR", user)).toBe(
      `lrwxrwxrwx ${" ".repeat(19)}0 ./input -> ${input}`,
    );
    const deep = output("nix", "store", "ls", "--store", cache, "--json", "-R", input);
    expect(JSON.parse(deep)).toEqual({
      type: "directory",
      entries: {
        file: { type: "regular", executable: false, size: 8, narOffset: expect.any(Number) },
        link: { type: "symlink", target: "file" },
      },
    });
    expect(output("nix", "store", "ls", "--json", input)).toBe(
      '{"entries":{"file":{},"link":{}},"type":"directory"}',
    );
    expect(output("nix", "store", "ls", input)).toBe("./file\n./link");
    expect(failure("store", "ls", "--store", cache, `${input}/absent`)).toEqual([
      1,
      expect.stringContaining(`path '${input}/absent' does not exist`),
    ]);
    expect(failure("store", "cat", "--store", cache, input)[1]).toContain("is not a regular file");
    const kept = join(t.root, "kept");
    expect(
      output("nix", "store", "cat", "--store", `${cache}?local-nar-cache=${kept}`, `${input}/file`),
    ).toBe("content");
    expect(readdirSync(kept)).toEqual([expect.stringMatching(/^[0-9a-z]{52}\.nar$/)]);
  });

  it("say where an object's content is not what was announced", () => {
    const place = join(t.root, "damaged");
    const large = output("nix", "store", "add", t.write("large", "x".repeat(2 << 20)));
    output("nix", "copy", "--to", `file://${place}?compression=none`, large);
    const script = `exec bin/nix store dump-path --store 'file://${place}' ${large} | wc -c >&2`;
    const dump = () => t.run("/bin/bash", ["-o", "pipefail", "-c", script]);
    const sizeBytes = (2 << 20) + 112;
    expect(dump()).toMatchObject({ status: 0, err: `${sizeBytes}\n` });
    const [name = ""] = readdirSync(join(place, "nar"));
    const nar = readFileSync(join(place, "nar", name));
    nar.writeUInt8(nar.readUInt8(1 << 20) ^ 1, 1 << 20);
    writeFileSync(join(place, "nar", name), nar);
    expect(dump()).toMatchObject({
      status: 1,
      err: expect.stringContaining(`hash mismatch in path '${large}'`),
    });
  });

  it("sign, copy signatures and verify", () => {
    const [one, two] = ["one-1", "two-1"].map((name) => {
      const file = join(t.root, name);
      writeFileSync(file, output("nix", "key", "generate-secret", "--key-name", name));
      const secret = readFileSync(file, "utf8");
      const { out } = t.run("nix", ["key", "convert-secret-to-public"], { input: secret });
      expect(out).toMatch(new RegExp(`^${name}:[A-Za-z0-9+/]{43}=$`));
      return { file, key: out };
    }) as [{ file: string; key: string }, { file: string; key: string }];
    const verify = (...args: string[]): number | null =>
      t.run("nix", ["store", "verify", "--store", cache, "-r", user, ...args]).status;
    expect(verify()).toBe(2);
    expect(verify("--no-trust")).toBe(0);
    expect(t.run("nix", ["store", "sign", "--store", cache, "-r", "-k", one.file, user]).err).toContain(
      "added 2 signatures",
    );
    expect(verify("--trusted-public-keys", one.key)).toBe(0);
    expect(verify("--trusted-public-keys", two.key)).toBe(2);
    expect(verify("--trusted-public-keys", `${one.key} ${two.key}`, "-n", "2")).toBe(2);
    expect(t.run("nix", ["store", "copy-sigs", "-s", cache, user]).err).toContain("imported 1 signatures");
    expect(output("nix", "path-info", "--sigs", user)).toContain("\tone-1:");
    expect(output("nix", "store", "verify", "--all")).toBe("");
    const nar = join(
      t.root,
      "a cache+",
      JSON.parse(output("nix", "path-info", "--store", cache, "--json", "--json-format", "1", user))[user]
        .url as string,
    );
    const bytes = readFileSync(nar);
    writeFileSync(nar, bytes.subarray(1));
    expect(verify("--no-trust")).toBe(4);
    writeFileSync(nar, bytes);
  });

  it("copy from it, signed or on the user's word", () => {
    const to = elsewhere("fetched");
    expect(failure("copy", "--from", cache, "--to", to, "--trusted-public-keys", "", user)).toEqual([
      1,
      expect.stringContaining("lacks a signature by a trusted key"),
    ]);
    const copied = t.run("nix", ["copy", "--from", cache, "--to", to, "--no-check-sigs", user]);
    expect(copied.err).toContain(`copying path '${input}' from '${cache}'...`);
    expect(output("nix", "path-info", "--store", to, "-r", user).split("\n")).toEqual([input, user].sort());
    const trusting = elsewhere("trusting", "&require-sigs=false");
    expect(t.run("nix", ["copy", "--from", cache, "--to", trusting, user]).status).toBe(0);
    const other = `file://${join(t.root, "other")}`;
    expect(t.run("nix", ["copy", "--all", "--from", cache, "--to", other]).err).toContain(
      "copying 2 paths...",
    );
    expect(existsSync(join(t.root, "other/nix-cache-info"))).toBe(true);
    expect(failure("copy", "--from", cache, userDrv)[1]).toContain("is not valid");
  });

  it("of another store directory add files, and give what is addressed by its content", () => {
    const foreign = `file://${join(t.root, "foreign")}?store=/fnord/store`;
    const file = t.write("addressed.txt", "by content\n");
    const [flat, tree] = [["add-file"], ["add", "--mode", "nar"]].map((words) =>
      output("nix", "store", ...words, "--store", foreign, file),
    );
    expect([flat, tree]).toEqual([
      expect.stringMatching(/^\/fnord\/store\/[0-9a-z]{32}-addressed\.txt$/),
      expect.stringMatching(/^\/fnord\/store\/[0-9a-z]{32}-addressed\.txt$/),
    ]);
    expect(flat).not.toBe(tree);
    const sha256 = output("nix-hash", "--flat", "--type", "sha256", file);
    const expression = `import <nix/fetchurl.nix> { url = "file:///absent/addressed.txt"; sha256 = "${sha256}"; }`;
    const words = ["--no-out-link", "--substituters", foreign, "--substitute", "-E", expression];
    const fetched = t.run("nix-build", words);
    expect(fetched.err).toContain("this path will be fetched");
    expect(readFileSync(fetched.out.trim(), "utf8")).toBe("by content\n");
    // Of what is addressed otherwise, another directory's cache knows nothing.
    expect(output("nix-store", "--realise", "--dry-run", "--substituters", foreign, input)).toBe("");
    expect(failure("copy", "--all", "--from", foreign, "--to", cache)[1]).toContain(
      'its paths are in "/fnord/store"',
    );
    expect(failure("store", "info", "--store", "file:///x?store=relative")[1]).toContain(
      '"store" is "relative"',
    );
  });

  it("keep logs in it", () => {
    expect(failure("log", "--store", cache, input)[1]).toContain("is not available");
    output("nix", "store", "copy-log", "--to", cache, input);
    expect(output("nix", "log", "--store", cache, input)).toBe("a line");
    expect(
      t.run("nix", ["log", "--substituters", cache, input], { env: { NIX_LOG_DIR: join(t.root, "none") } })
        .out,
    ).toBe("a line\n");
  });
});

describe("nix nar", () => {
  it("lists NARs and shows files in them", () => {
    const nar = join(t.root, "input.nar");
    writeFileSync(nar, t.run("nix", ["nar", "pack", input], { encoding: "latin1" }).out, "latin1");
    expect(output("nix", "nar", "ls", nar, "/")).toBe("./file\n./link");
    expect(output("nix", "nar", "ls", "-d", nar, "")).toBe(".");
    expect(output("nix", "nar", "ls", "--json", nar, "/link")).toBe('{"target":"file","type":"symlink"}');
    expect(output("nix", "nar", "cat", nar, "/file")).toBe("content");
    expect(failure("nar", "cat", nar, "/absent")[1]).toContain("NAR does not contain regular file '/absent'");
    expect(failure("nar", "ls", nar, "/absent")[1]).toContain("path '/absent' does not exist");
  });
});

describe("nix-store of a binary cache", () => {
  it("asks it what follows from what it says of paths", () => {
    const query = (...args: string[]): string => output("nix-store", "--store", cache, "-q", ...args);
    const here = (...args: string[]): string => output("nix-store", "-q", ...args);
    for (const asked of ["--requisites", "--references", "--deriver", "--tree"])
      expect(query(asked, user)).toBe(here(asked, user));
    expect(output("nix-store", "--store", cache, "--check-validity", user)).toBe("");
    const absent = userDrv;
    expect(output("nix-store", "--store", cache, "--check-validity", "--print-invalid", absent, user)).toBe(
      absent,
    );
    const refused = t.run("nix-store", ["--store", cache, "-q", "--referrers", input]);
    expect(`${refused.status} ${refused.err}`).toMatch(/^1 .*operation not supported/);
    expect(t.run("nix-store", ["--store", cache, "-q", "--hash", absent]).err).toContain("is not valid");
  });
});
