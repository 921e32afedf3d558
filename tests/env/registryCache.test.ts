import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readRemoteRegistry } from "../../env/flake/registryCache.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-registry-cache-"));
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(root, "cache"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

describe("a registry named by a URL", () => {
  it("is kept, and serves while it is young or the server is gone", () => {
    const url = "https://registry.example/flakes.json";
    const warnings: string[] = [];
    let downloads = 0;
    let isOnline = true;
    const read = (ttlMs: number): string =>
      readRemoteRegistry(url, {
        ttlMs,
        download: () => {
          if (!isOnline) throw new Error("no network");
          const file = join(root, `download-${downloads++}`);
          writeFileSync(file, `text ${downloads}`);
          return file;
        },
        warn: (message) => warnings.push(message),
      });
    expect(read(60_000)).toBe("text 1");
    expect(read(60_000)).toBe("text 1");
    const directory = join(root, "cache/flake-registry");
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), 1, 1);
    expect(read(60_000)).toBe("text 2");
    isOnline = false;
    expect(read(60_000)).toBe("text 2");
    expect(warnings).toEqual([]);
    expect(read(0)).toBe("text 2");
    expect(warnings).toEqual([`unable to download '${url}': no network; using cached version`]);
  });

  it("of this machine is read anew, and remembered when it is gone", () => {
    const file = join(root, "registry.json");
    const warnings: string[] = [];
    const read = (): string =>
      readRemoteRegistry(`file://${file}`, {
        ttlMs: 60_000,
        download: () => file,
        warn: (message) => warnings.push(message),
      });
    expect(read).toThrow(/^unable to download 'file:.*registry\.json'/);
    writeFileSync(file, "one");
    expect(read()).toBe("one");
    writeFileSync(file, "two");
    expect(read()).toBe("two");
    renameSync(file, `${file}.away`);
    expect(read()).toBe("two");
    expect(warnings).toHaveLength(1);
  });
});
