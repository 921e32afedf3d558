import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LocalStore, resolveStoreSettings, sandboxObstacle } from "../../../store/index.ts";
import { TestStore } from "../realiseFixture.ts";

const obstacle = await sandboxObstacle();

/** A store that has one of the same directory's name for a builder, below its own directory. */
class WithMachine implements AsyncDisposable {
  readonly t: TestStore;
  readonly address: string;

  constructor(columns = "", raw: Readonly<Record<string, string>> = {}, maxJobs = 0) {
    const settings = new Map(Object.entries(raw));
    this.t = TestStore.create({ sandbox: "on", maxJobs, raw: settings });
    const { dir, store } = this.t;
    const machine = `${dir}/machine`;
    this.address = `${machine}?store=${store.storeDir}&real=${machine}/store&state=${machine}/state&log=${machine}/log`;
    if (!settings.has("builders")) settings.set("builders", `${this.address} ${columns}`);
  }

  /** What the machine's store has. */
  machine(): LocalStore {
    return LocalStore.open(resolveStoreSettings({}, { store: this.address }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.t[Symbol.asyncDispose]();
  }
}

describe.skipIf(obstacle !== undefined)("building on other machines", () => {
  it("sends what a build needs, and fetches what it made", async () => {
    await using pair = new WithMachine("- - 2 1");
    const { t } = pair;
    const source = t.store.addText("source", "from here", []);
    const first = t.derivation({
      name: "first",
      inputs: [source],
      script: `echo first here; read -r line < ${source}; echo "$line" > $out`,
    });
    const second = t.derivation({
      name: "second",
      inputs: [first],
      outputs: ["out", "doc"],
      env: { out: "", doc: "" },
      script: `read -r line < ${t.output(first)}; echo "$line twice ${t.output(first)}" > $out; echo $out > $doc`,
    });
    const report = await t.build(second);
    expect(report.failures).toEqual([]);
    expect(readFileSync(t.output(second), "utf8")).toBe(`from here twice ${t.output(first)}\n`);
    expect(t.store.pathInfo(t.output(second))).toMatchObject({
      references: [t.output(first)],
      deriver: second,
      isUltimate: false,
    });
    expect(t.store.pathInfo(t.output(second, "doc")).references).toEqual([t.output(second)]);
    expect(t.logLines()).toContain("first here");
    expect(t.events).toContainEqual(
      expect.objectContaining({ kind: "start", activity: "build", machine: pair.address }),
    );
    expect(readFileSync(t.store.logPath(first), "utf8")).toBe("first here\n");
    using machine = pair.machine();
    expect(machine.isValidPath(t.output(first))).toBe(true);
    expect(machine.isValidPath(first)).toBe(false);
  });

  it("says why a build failed there", async () => {
    await using pair = new WithMachine("- - 1 1");
    const { t } = pair;
    const { failures, exitStatus } = await t.build(
      t.derivation({ name: "bad", script: "echo oh no; exit 3" }),
    );
    expect(failures).toHaveLength(1);
    expect(failures[0]?.message).toContain(`on '${pair.address}' failed: `);
    expect(failures[0]?.message).toContain("builder failed with exit code 3");
    expect(failures[0]?.message).toContain("> oh no");
    expect(exitStatus).toBe(100);
  });

  it("builds here what no machine is fit for, or says what is missing", async () => {
    await using pair = new WithMachine("riscv64-linux - 1 1 big", {}, 1);
    const here = pair.t.derivation({ name: "here", script: "echo > $out" });
    expect((await pair.t.build(here)).failures).toEqual([]);
    expect(pair.t.logLines()).toEqual([]);
    const nowhere = pair.t.derivation({ name: "nowhere", system: "mips-linux", script: "echo > $out" });
    const { failures } = await pair.t.build(nowhere);
    expect(failures[0]?.message).toContain("platform mismatch");
    expect(pair.t.logLines().join("\n")).toContain("([riscv64-linux], 1, [big], [])");
  });

  it("sends what asks for features to a machine that has them", async () => {
    await using pair = new WithMachine("- - 1 1 rare", {}, 1);
    const { t } = pair;
    const drv = t.derivation({
      name: "rare",
      script: "echo > $out",
      env: { requiredSystemFeatures: "rare" },
    });
    expect((await t.build(drv)).failures).toEqual([]);
    using machine = pair.machine();
    expect(machine.isValidPath(t.output(drv))).toBe(true);
  });

  it("keeps here what is to be built here", async () => {
    await using pair = new WithMachine("- - 1 1", {}, 1);
    const { t } = pair;
    const drv = t.derivation({ name: "local", script: "echo > $out", env: { preferLocalBuild: "1" } });
    expect((await t.build(drv)).failures).toEqual([]);
    using machine = pair.machine();
    expect(machine.isValidPath(t.output(drv))).toBe(false);
  });

  it("does without a machine that cannot be reached", async () => {
    const builders = "ssh://localhost?remote-program=false - - 4 1";
    await using pair = new WithMachine("", { builders }, 1);
    const { t } = pair;
    const [one, two] = ["one", "two"].map((name) => t.derivation({ name, script: "echo > $out" }));
    expect((await t.build([one!, two!])).failures).toEqual([]);
    expect(t.logLines().join("\n")).toContain(
      "warning: cannot build on 'ssh://localhost?remote-program=false'",
    );
  });

  it("builds as many at once as the machine takes", async () => {
    await using pair = new WithMachine("- - 2 1");
    const { t } = pair;
    const drvs = Array.from({ length: 6 }, (_, index) =>
      t.derivation({ name: `d${index}`, script: "echo > $out" }),
    );
    let running = 0;
    let most = 0;
    const { failures } = await t.build(drvs, {
      onEvent: (event) => {
        if (event.kind === "start") most = Math.max(most, ++running);
        else if (event.kind === "end") running--;
      },
    });
    expect(failures).toEqual([]);
    expect(most).toBe(2);
  });

  it("stops when it is told to", async () => {
    await using pair = new WithMachine("- - 1 1");
    const { t } = pair;
    const stop = new AbortController();
    const drv = t.derivation({ name: "slow", script: "echo begun; read -r never < /dev/zero" });
    const building = t.build(drv, {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.kind === "log" && event.line === "begun") stop.abort(new Error("enough"));
      },
    });
    await expect(building).rejects.toThrow("enough");
  });

  it("refuses a wrong list of machines", async () => {
    await using pair = new WithMachine("", { builders: "host - - many" }, 1);
    const { failures } = await pair.t.build(pair.t.derivation({ name: "x", script: "echo > $out" }));
    expect(failures).toMatchObject([{ code: "MACHINE_INVALID" }]);
  });
});
