// Writes golden.json from a real Nix: `scripts/node tests/env/byteForByte/fromPeer.ts BIN_DIRECTORY`, by hand.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { byteCases, refusedExpressions } from "./cases.ts";

const [bin] = process.argv.slice(2);
if (bin === undefined) throw new Error("usage: fromPeer.ts BIN_DIRECTORY");
const fixtures = resolve(import.meta.dirname, "../fixtures");
const dir = mkdtempSync(join(tmpdir(), "devshell-peer-"));
const env = {
  ...process.env,
  HOME: dir,
  NIX_CONFIG:
    "experimental-features = nix-command ca-derivations impure-derivations\nsandbox = false\nbuild-users-group =",
  NIX_PATH: "",
};
const store = `local?root=${dir}`;
try {
  const golden: Record<string, { drvPath: string; sha256: string }> = {};
  for (const { name, expression } of byteCases) {
    const result = spawnSync(join(bin, "nix-instantiate"), ["--store", store, "-E", expression], {
      cwd: fixtures,
      env,
      encoding: "utf8",
    });
    if (result.status !== 0) {
      console.error(`the peer refuses "${name}": ${result.stderr.trim().split("\n").pop() ?? ""}`);
      process.exitCode = 1;
      continue;
    }
    const drvPath = result.stdout.trim().replace(/!.*$/, "");
    const bytes = readFileSync(join(dir, drvPath));
    golden[name] = { drvPath, sha256: createHash("sha256").update(bytes).digest("hex") };
  }
  for (const expression of refusedExpressions) {
    const result = spawnSync(join(bin, "nix-instantiate"), ["--store", store, "-E", expression], {
      cwd: fixtures,
      env,
    });
    if (result.status !== 0) continue;
    console.error(`the peer accepts ${expression.split("\nin\n")[1] ?? ""}`);
    process.exitCode = 1;
  }
  writeFileSync(join(import.meta.dirname, "golden.json"), `${JSON.stringify(golden, null, 1)}\n`);
  console.log(`${Object.keys(golden).length} derivations, ${refusedExpressions.length} refusals`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
