import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, lstatSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  FlakeRegistries,
  readRegistry,
  userRegistryPath,
  writeRegistry,
  type RegistryEntry,
} from "../../env/index.ts";
import { flakeReference, parseFlakeReference, showReference } from "../../lang/index.ts";

let root: string;
let warnings: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-registry-"));
  warnings = [];
  vi.stubEnv("HOME", root);
  vi.stubEnv("XDG_CONFIG_HOME", undefined);
  vi.stubEnv("NIX_CONFIG_HOME", undefined);
  vi.stubEnv("NIX_CONF_DIR", join(root, "etc"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const reference = (text: string): ReturnType<typeof flakeReference> =>
  flakeReference(parseFlakeReference(text));

function entry(from: string, to: string, isExact = false): RegistryEntry {
  return { from: reference(from).attributes, to: reference(to), isExact };
}

function registries(
  global: Readonly<Record<string, string>>,
  overrides: readonly RegistryEntry[] = [],
): FlakeRegistries {
  const path = join(root, "global.json");
  writeRegistry(
    path,
    Object.entries(global).map(([from, to]) => entry(from, to)),
  );
  return new FlakeRegistries({
    globalRegistry: path,
    download: () => {
      throw new Error("nothing is downloaded");
    },
    warn: (message) => warnings.push(message),
    overrides,
  });
}

function resolve(known: FlakeRegistries, text: string, scope: "all" | "limited" = "all"): string {
  const { attributes, dir } = known.resolve(reference(text).attributes, scope);
  return showReference({ attributes, dir: dir ?? "" });
}

describe("flake registries", () => {
  it("lead from name to name to a place, with the revision that was asked for", () => {
    const known = registries({
      a: "b",
      b: "github:owner/repo",
      c: "git+file:///c?ref=main",
      sub: "path:/tree?dir=flakes/sub",
    });
    expect(resolve(known, "a")).toBe("github:owner/repo");
    expect(resolve(known, "a/branch")).toBe("github:owner/repo/branch");
    const rev = "0123456789012345678901234567890123456789";
    expect(resolve(known, `a/${rev}`)).toBe(`github:owner/repo/${rev}`);
    expect(resolve(known, `c/other/${rev}`)).toBe(`git+file:///c?ref=other&rev=${rev}`);
    expect(resolve(known, "sub")).toBe("path:/tree?dir=flakes/sub");
    expect(() => resolve(known, "sub/branch")).toThrow(
      "don't know how to set branch/tag name of input 'path:/tree' to 'branch'",
    );
    expect(() => resolve(known, "unknown")).toThrow(
      "cannot find flake 'flake:unknown' in the flake registries",
    );
  });

  it("end where they lead in a circle", () => {
    expect(() => resolve(registries({ a: "b", b: "a" }), "a")).toThrow("cycle detected in flake registry");
  });

  it("come in their order; locking takes the command line's and the global one only", () => {
    const known = registries({ a: "path:/global", b: "path:/global" }, [entry("b", "path:/flag")]);
    writeRegistry(userRegistryPath(), [entry("a", "path:/user"), entry("b", "path:/user")]);
    expect(resolve(known, "a")).toBe("path:/user");
    expect(resolve(known, "b")).toBe("path:/flag");
    expect(resolve(known, "a", "limited")).toBe("path:/global");
    expect(known.all().map(({ kind, entries }) => [kind, entries.length])).toEqual([
      ["flags", 1],
      ["user", 2],
      ["system", 0],
      ["global", 2],
    ]);
  });

  it("may mean one reference only", () => {
    const known = registries({}, [entry("a", "path:/exact", true), entry("a/x", "path:/x", true)]);
    expect(resolve(known, "a")).toBe("path:/exact");
    expect(resolve(known, "a/x")).toBe("path:/x");
    expect(() => resolve(known, "a/y")).toThrow("cannot find flake");
  });

  it("do without the global one where a place needs none", () => {
    const known = new FlakeRegistries({
      globalRegistry: "https://registry.example/flakes.json",
      download: () => {
        throw new TypeError("asked for");
      },
      warn: (message) => warnings.push(message),
      overrides: [entry("a", "path:/flag")],
    });
    expect(() => resolve(known, "unknown")).toThrow("asked for");
    expect(resolve(known, "a")).toBe("path:/flag");
    expect(resolve(known, "github:owner/repo")).toBe("github:owner/repo");
  });

  it("are written as Nix writes them, through links", () => {
    const path = join(root, "registry.json");
    mkdirSync(join(root, "real"));
    writeFileSync(join(root, "real/registry.json"), "{}");
    symlinkSync("real/registry.json", path);
    writeRegistry(path, [entry("a", "path:/tree?dir=sub"), entry("b", "c", true)]);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(
      `{
  "flakes": [
    {
      "from": {
        "id": "a",
        "type": "indirect"
      },
      "to": {
        "dir": "sub",
        "path": "/tree",
        "type": "path"
      }
    },
    {
      "exact": true,
      "from": {
        "id": "b",
        "type": "indirect"
      },
      "to": {
        "id": "c",
        "type": "indirect"
      }
    }
  ],
  "version": 2
}`,
    );
    expect(readRegistry(path, "custom", () => undefined).entries).toHaveLength(2);
  });

  it("that are none are warned of and pass for empty", () => {
    const path = join(root, "bad.json");
    const texts = ["{", "[]", '{"version": 3}', '{"version": 2, "flakes": 1}', '{"version":2,"flakes":[{}]}'];
    for (const text of texts) {
      writeFileSync(path, text);
      expect(readRegistry(path, "user", (message) => warnings.push(message)).entries).toEqual([]);
    }
    expect(warnings).toHaveLength(texts.length);
    expect(warnings.every((each) => /^cannot (parse|read) flake registry '.*bad\.json': /.test(each))).toBe(
      true,
    );
  });
});
