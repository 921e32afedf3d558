import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { externalBuilderFor } from "../../../../store/realise/builder/externalBuilders.ts";
import { TestStore, temporaryDirectory, testSettings } from "../../realiseFixture.ts";

const SYSTEM = "riscv64-plan9";

function raw(builders: unknown, features = "external-builders"): ReadonlyMap<string, string> {
  const text = typeof builders === "string" ? builders : JSON.stringify(builders);
  return new Map([
    ["external-builders", text],
    ["experimental-features", features],
  ]);
}

describe("external-builders", () => {
  it("are given what is to be built in a file, for their systems", async () => {
    const dir = temporaryDirectory();
    const file = `${dir}/program.sh`;
    // Keeps the description, and does what the builder would have done.
    writeFileSync(
      file,
      `printf '\\2\\n'; echo "for $1"; cp "$2" ${dir}/description
       out=$(sed -n 's/.*"out":"\\([^"]*\\)".*/\\1/p' "$2"); echo made > "$out"`,
    );
    const builders = [{ systems: [SYSTEM], program: "/bin/sh", args: [file, "a word"] }];
    await using t = TestStore.create({ raw: raw(builders) }, dir);
    const drv = t.derivation({ name: "foreign", system: SYSTEM, script: "echo $name > $out" });
    const report = await t.build(drv);
    expect(report.failures).toEqual([]);
    expect(readFileSync(t.output(drv), "utf8")).toBe("made\n");
    expect(t.logLines()).toEqual(["for a word"]);
    const description = JSON.parse(readFileSync(`${dir}/description`, "utf8")) as Record<string, unknown>;
    expect(description).toMatchObject({
      version: 1,
      system: SYSTEM,
      builder: "/bin/sh",
      args: ["-c", "echo $name > $out"],
      env: { name: "foreign", NIX_BUILD_TOP: "/build" },
      outputs: { out: t.output(drv) },
      tmpDirInSandbox: "/build",
      storeDir: t.store.storeDir,
    });
  });

  it("build nothing that wants to use the store: its socket would lead nowhere", async () => {
    const builders = [{ systems: [SYSTEM], program: "/bin/sh", args: ["-c", "exit 0"] }];
    await using t = TestStore.create({ raw: raw(builders, "external-builders recursive-nix") });
    const drv = t.derivation({
      name: "recursive",
      system: SYSTEM,
      env: { requiredSystemFeatures: "recursive-nix" },
    });
    const { failures } = await t.build(drv, { serveBuilder: () => Promise.resolve() });
    expect(failures[0]?.message).toContain(
      "'recursive-nix' is not supported yet by external derivation builders",
    );
  });

  it("are asked only where the feature is on, and only for their systems", () => {
    const builders = [{ systems: [SYSTEM], program: "/bin/true", args: [] }];
    const settings = (map: ReadonlyMap<string, string>) => testSettings("/nowhere", { raw: map });
    expect(externalBuilderFor(settings(raw(builders)), SYSTEM)?.program).toBe("/bin/true");
    expect(externalBuilderFor(settings(raw(builders)), "x86_64-linux")).toBeUndefined();
    expect(externalBuilderFor(settings(new Map()), SYSTEM)).toBeUndefined();
    expect(() => externalBuilderFor(settings(raw(builders, "")), SYSTEM)).toThrow("is disabled");
  });

  it.each(["{", "{}", "[1]", '[{"systems":"x"}]', '[{"systems":[1],"program":"x","args":[]}]'])(
    "that are not described as they must be are refused: %s",
    (text) => {
      const settings = testSettings("/nowhere", { raw: raw(text) });
      expect(() => externalBuilderFor(settings, SYSTEM)).toThrow(
        'Cannot read the option "external-builders"',
      );
    },
  );
});
