import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  openRecordTable,
  pruneTables,
  writeRecordTable,
} from "../../../packages/debian/index/recordTable.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devshell-table-"));
  path = join(directory, "table");
});
afterEach(() => rmSync(directory, { recursive: true }));

it("finds every record and nothing else", () => {
  const records = new Map(Array.from({ length: 500 }, (_, n) => [`p${n}`, `record ${n}\xff`]));
  records.set("empty", "");
  writeRecordTable(path, records, { essential: "a b" });
  using table = openRecordTable(path);
  expect(table?.count).toBe(501);
  expect(table?.notes).toEqual({ essential: "a b" });
  for (const [key, record] of records) expect(table?.get(key)).toBe(record);
  for (const absent of ["", "p", "p500", "zzz", "a"]) expect(table?.get(absent)).toBeUndefined();
  expect(table?.keys.split("\n")).toEqual([...records.keys()].sort());
});

it("holds nothing at all", () => {
  writeRecordTable(path, new Map());
  using table = openRecordTable(path);
  expect(table?.count).toBe(0);
  expect(table?.get("")).toBeUndefined();
});

it("does not open what is absent, cut short or of another format", () => {
  expect(openRecordTable(path)).toBeUndefined();
  writeRecordTable(path, new Map([["a", "b".repeat(1000)]]));
  const whole = readFileSync(path);
  truncateSync(path, whole.length - 1);
  expect(openRecordTable(path)).toBeUndefined();
  writeFileSync(path, whole.toString("latin1").replace("table-1", "table-0"), "latin1");
  expect(openRecordTable(path)).toBeUndefined();
  writeFileSync(path, "");
  expect(openRecordTable(path)).toBeUndefined();
});

it("is kept while it is used, and removed two months after", () => {
  const [used, unused] = [join(directory, "used"), join(directory, "unused")];
  const old = new Date(Date.now() - 61 * 86_400_000);
  for (const table of [used, unused]) {
    writeRecordTable(table, new Map([["a", "b"]]));
    utimesSync(table, old, old);
  }
  openRecordTable(used)?.[Symbol.dispose]();
  pruneTables(directory);
  expect(readdirSync(directory)).toEqual(["used"]);
});
