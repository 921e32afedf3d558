import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { canBeOthers } from "../../../../store/realise/builder/sandboxMethod.ts";
import { TestStore, temporaryDirectory } from "../../realiseFixture.ts";

const GROUP = "devshell-test-builders";
const GID = 872_500_100;
const UIDS = [872_500_101, 872_500_102];

/** A system that has such a group, with two members. */
function useSystem(dir: string): void {
  const program = (name: string, script: string): void =>
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const users = UIDS.map((uid, index) => `echo member${index}:x:${uid}:${GID}::/:/bin/false`).join("; ");
  program(
    "getent",
    `case "$1 $2" in "group ${GROUP}") echo ${GROUP}:x:${GID}:member0,member1;; passwd*) ${users};; *) exit 2;; esac`,
  );
  program("id", `echo ${GID}`);
  vi.stubEnv("PATH", `${dir}:${process.env["PATH"] ?? ""}`);
}

/** Real user ids of all processes that live. */
function usersOfProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "latin1");
        return /^State:\s*[ZX]/m.test(status) ? 0 : Number(/^Uid:\s*(\d+)/m.exec(status)?.[1]);
      } catch {
        return 0;
      }
    });
}

const isAble = await canBeOthers();

describe.skipIf(process.geteuid?.() !== 0)("build users", () => {
  let t: TestStore;
  const create = (sandbox: "on" | "off", group = GROUP, more = ""): void => {
    const paths = `/usr /lib=/usr/lib /lib64=/usr/lib64? ${more}`;
    const raw = new Map([
      ["build-users-group", group],
      ["extra-sandbox-paths", paths],
      ["experimental-features", "recursive-nix"],
    ]);
    t = TestStore.create({ sandbox, raw });
    // Others are to pass.
    chmodSync(t.dir, 0o755);
  };
  // Where programs are is remembered.
  const programs = temporaryDirectory();
  beforeAll(() => useSystem(programs));
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(programs, { recursive: true });
  });
  afterEach(() => t[Symbol.asyncDispose]());

  it("are each one build's at a time, and leave nothing running", async () => {
    create("off");
    const script = (name: string): string =>
      `PATH=/usr/bin; echo "$(id -u) $(id -g) $(id -G)"; (setsid sleep 1000 > /dev/null 2>&1 &); sleep 0.3; echo ${name} > $out`;
    const drvs = ["a", "b", "c"].map((name) => t.derivation({ name, script: script(name) }));
    const { failures } = await t.build(drvs);
    expect(failures).toEqual([]);
    const lines = t.logLines();
    expect(new Set(lines.slice(0, 2))).toEqual(new Set(UIDS.map((uid) => `${uid} ${GID} ${GID}`)));
    expect(lines).toHaveLength(3);
    for (const drv of drvs)
      expect(statSync(t.output(drv))).toMatchObject({ uid: 0, gid: expect.any(Number) as number });
    await vi.waitFor(() => expect(usersOfProcesses().filter((uid) => UIDS.includes(uid))).toEqual([]), {
      timeout: 8000,
    });
    expect(statSync(t.store.realStoreDir).mode & 0o7777).toBe(0o1775);
  });

  it.skipIf(!isAble)("are who builders in the sandbox are outside", async () => {
    const gate = temporaryDirectory();
    chmodSync(gate, 0o755);
    create("on", GROUP, gate);
    const script = `PATH=/usr/bin; id -u; while [ ! -e ${gate}/seen ]; do sleep 0.1; done; echo > $out`;
    const built = t.build(t.derivation({ name: "inside", script }));
    try {
      await vi.waitFor(() => expect(usersOfProcesses().some((uid) => UIDS.includes(uid))).toBe(true), {
        timeout: 30_000,
      });
    } finally {
      writeFileSync(join(gate, "seen"), "");
    }
    expect((await built).failures).toEqual([]);
    rmSync(gate, { recursive: true });
    expect(t.logLines()).toEqual(["1000"]);
  });

  it("are strangers to the store that they use, in no sandbox either", async () => {
    create("off");
    const told = join(t.dir, "told");
    const drv = t.derivation({
      name: "user",
      script: `PATH=/usr/bin; while [ ! -e ${told} ]; do sleep 0.1; done; echo > $out`,
      env: { requiredSystemFeatures: "recursive-nix" },
    });
    const answers: boolean[] = [];
    const building = t.build(drv, {
      serveBuilder: (_, { isStranger }) => Promise.resolve(void answers.push(isStranger)),
    });
    const builds = `${t.dir}/state/builds`;
    const place = await vi.waitFor(
      () => {
        const [name = ""] = readdirSync(builds);
        const socket = join(builds, name, ".nix-socket");
        // With its owner it has all it gets before the builder runs.
        expect(UIDS).toContain(statSync(socket).uid);
        return socket;
      },
      { timeout: 8000 },
    );
    connect(place).on("close", () => writeFileSync(told, ""));
    expect((await building).failures).toEqual([]);
    expect(answers).toEqual([true]);
  });

  it("build for strangers, too, in no sandbox", async () => {
    create("off");
    const drv = t.derivation({ name: "code", script: "PATH=/usr/bin; id -u; echo > $out" });
    expect((await t.build(drv, { isForStranger: true })).failures).toEqual([]);
    expect(UIDS).toContain(Number(t.logLines()[0]));
  });

  it("leave nothing running that writes to what is registered", async () => {
    create("off");
    const drv = t.derivation({
      name: "lingering",
      script:
        "PATH=/usr/bin; mkdir $out; : > $out/file; " +
        "setsid sh -c 'exec 3>>$0; : > $1; while :; do echo more >&3; done' $out/file $TMPDIR/begun </dev/null >/dev/null 2>&1 & " +
        "while ! [ -e $TMPDIR/begun ]; do sleep 0.01; done",
    });
    expect((await t.build(drv)).failures).toEqual([]);
    expect((await t.store.verify({ checkContents: true })).problems).toEqual([]);
  });

  it("write no longer to what is registered where others hold their files open", async () => {
    create("off");
    const drv = t.derivation({ name: "held", script: "echo mine > $out; PATH=/usr/bin; sleep 0.5" });
    const building = t.build(drv);
    const output = t.output(drv);
    const fd = await vi.waitFor(() => openSync(output, "r+"), { timeout: 8000 });
    try {
      expect((await building).failures).toEqual([]);
      writeSync(fd, "evil", 0);
      expect((await t.store.verify({ checkContents: true })).problems).toEqual([]);
    } finally {
      closeSync(fd);
    }
  });

  it("are missed where the group is not there", async () => {
    create("off", "no-such-group");
    const { failures } = await t.build(t.derivation({ name: "none", script: "echo > $out" }));
    expect(failures[0]?.message).toContain(
      "the group 'no-such-group' specified in 'build-users-group' does not exist",
    );
  });
});
