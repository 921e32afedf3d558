// One store operation as a whole process: `contender.mjs OPERATION ARGS…`; bundled by store.ts.
import { closeSync, openSync, readSync } from "node:fs";
import { LocalStore } from "../../../store/local/localStore.ts";
import { hashNar } from "../../../store/format/nar.ts";
import { restoreNar } from "../../../store/format/narRestore.ts";
import { resolveStoreSettings } from "../../../store/settings.ts";

function* chunksOf(file: string): Generator<Buffer> {
  const fd = openSync(file, "r");
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
    yield buffer.subarray(0, count);
  closeSync(fd);
}

const [operation, first = "", second = ""] = process.argv.slice(2);
switch (operation) {
  case "hash":
    console.log(hashNar(first).hash.digest.toString("hex"));
    break;
  case "restore":
    await restoreNar(second, chunksOf(first));
    break;
  case "fill":
  case "gc":
  case "optimise": {
    using store = LocalStore.open(resolveStoreSettings(process.env));
    if (operation === "gc") await store.collectGarbage({ action: "deleteDead" });
    else if (operation === "optimise") await store.optimise();
    else for (let i = 0; i < Number(first); i++) store.addText(`path-${i}`, `content ${i >> 1}`, []);
    break;
  }
  default:
    throw new Error(`no operation ${operation}`);
}
