import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeValue } from "../../../cli/protocol/describeVariables.ts";
import { describeSearchPaths } from "../../../cli/protocol/searchPaths.ts";

let store: string;
beforeAll(() => {
  store = mkdtempSync(join(tmpdir(), "devshell-search-"));
});
afterAll(() => rmSync(store, { recursive: true, force: true }));

it("search paths come from variables, flags, and what a whole tree's tools find by themselves", () => {
  const usr = join(store, "env/usr");
  for (const path of ["bin", "include/x86_64-linux-gnu", "include/other", "lib/x86_64-linux-gnu/pkgconfig"])
    mkdirSync(join(usr, path), { recursive: true });
  writeFileSync(join(usr, "bin/gcc"), "", { mode: 0o755 });
  const set = (name: string, value: string) => describeValue(name, value, { by: "setup" });
  const report = describeSearchPaths(
    [
      set("PATH", `/none:relative:${usr}/bin`),
      set("C_INCLUDE_PATH", "/i:/i"),
      set("NIX_CFLAGS_COMPILE", "-isystem /s -O2 -I/joined"),
      set("NIX_LDFLAGS", "-L/l -rpath /r"),
      set("PKG_CONFIG_PATH", "/p"),
    ],
    store,
  );
  expect(report).toEqual({
    programs: ["/none", `${usr}/bin`],
    headers: ["/i", "/s", "/joined", `${usr}/include/x86_64-linux-gnu`, `${usr}/include`],
    libraries: ["/l", `${usr}/lib/x86_64-linux-gnu`, `${usr}/lib`],
    pkgConfig: ["/p", `${usr}/lib/x86_64-linux-gnu/pkgconfig`],
    compiler: `${usr}/bin/gcc`,
  });
});
