import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { canScopeSockets } from "../../../../store/realise/builder/filterCalls.ts";
import { canDropGroups } from "../../../../store/realise/builder/sandboxMethod.ts";
import { sandboxObstacle, type RealiseReport } from "../../../../store/realise/index.ts";
import type { StorePath } from "../../../../store/types.ts";
import { TestStore, type TestDerivation } from "../../realiseFixture.ts";

const obstacle = await sandboxObstacle();

/** The host's programs, so that attempts are not lost for want of them. */
const PROGRAMS = "/usr /lib=/usr/lib /lib64=/usr/lib64?";
const FIXED = "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=";

function createStore(
  more: Readonly<Record<string, string>> = {},
  config: { keepFailed?: boolean } = {},
): TestStore {
  const raw = new Map(Object.entries({ "extra-sandbox-paths": PROGRAMS, ...more }));
  return TestStore.create({ sandbox: "on", raw, ...config });
}

/** Builds a script that prints what it got hold of as `ESCAPED …`, and runs to its end. */
async function attempt(
  t: TestStore,
  test: Omit<TestDerivation, "name">,
): Promise<{ readonly report: RealiseReport; readonly drv: StorePath; readonly lines: readonly string[] }> {
  const drv = t.derivation({
    name: "attempt",
    ...test,
    script: `PATH=/usr/bin:/usr/sbin\n${test.script ?? ""}`,
  });
  const report = await t.build(drv);
  const lines = t.logLines();
  expect(lines.filter((line) => line.startsWith("ESCAPED"))).toEqual([]);
  return { report, drv, lines };
}

/** A directory of the host's that no builder may touch. */
function victimIn(t: TestStore): string {
  const victim = join(t.dir, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "file"), "precious\n");
  return victim;
}

function expectWhole(victim: string): void {
  expect(readdirSync(victim)).toEqual(["file"]);
  expect(readFileSync(join(victim, "file"), "utf8")).toBe("precious\n");
  expect(statSync(join(victim, "file")).mode & 0o7777).toBe(0o644);
}

afterEach(() => vi.unstubAllEnvs());

describe.skipIf(obstacle !== undefined)(
  `a builder in the sandbox${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`,
  () => {
    it("finds no files of the host, by whatever way", async () => {
      await using t = createStore();
      const victim = victimIn(t);
      const { report } = await attempt(t, {
        script: `
          for root in "" /proc/1/root /proc/self/root /proc/self/cwd/../../.. /proc/1/cwd/../.. /dev/fd/../../..; do
            for file in ${victim}/file ${t.dir}/state/db/db.sqlite /etc/shadow /root /home; do
              [ -e "$root$file" ] && echo "ESCAPED to $root$file"
            done
          done
          for process in /proc/[0-9]*; do [ -e $process/root${victim} ] && echo "ESCAPED through $process"; done
          cd /; for i in 1 2 3 4 5 6 7 8 9; do cd ..; done; [ -e .${victim} ] && echo "ESCAPED upward"
          perl -e 'chroot("/tmp") and print "ESCAPED: chroot\\n"'
          mkdir /tmp/m; mount -t tmpfs none /tmp/m 2>/dev/null && echo "ESCAPED: mount"
          umount /usr 2>/dev/null && echo "ESCAPED: umount"
          mount -o remount,rw /usr 2>/dev/null && echo "ESCAPED: remount"
          unshare --user --map-root-user true 2>/dev/null && echo "ESCAPED: a user namespace"
          nsenter --target 1 --mount true 2>/dev/null && echo "ESCAPED: nsenter"
          (: > /usr/devshell-was-here) 2>/dev/null && echo "ESCAPED: wrote to a read-only path"
          echo done > $out`,
      });
      expect(report.failures).toEqual([]);
      expectWhole(victim);
    });

    it("sees no store but its inputs, no secret of the caller's, no open file", async () => {
      await using t = createStore();
      vi.stubEnv("DEVSHELL_TEST_SECRET", "very secret");
      // Some that this process was started with are among its open files, wherever tests run under make or an editor.
      const kept = openSync(join(t.dir, "state", "db", "db.sqlite"), "r");
      const hidden = t.derivation({ name: "hidden", script: "echo > $out" });
      await t.build(hidden);
      const { report, lines } = await attempt(t, {
        script: `
          for path in $NIX_STORE/*; do [ -e $path ] && echo "ESCAPED: sees $path"; done
          tr '\\0' '\\n' < /proc/self/environ | grep -q 'very secret' && echo "ESCAPED: has the secret"
          for process in /proc/[0-9]*; do
            tr '\\0' '\\n' < $process/environ 2>/dev/null | grep -q 'very secret' && echo "ESCAPED: $process has it"
          done
          for fd in /proc/$$/fd/*; do echo "fd \${fd##*/} $(readlink $fd)"; done
          echo > $out`,
      });
      closeSync(kept);
      expect(report.failures).toEqual([]);
      const files = lines.filter((line) => line.startsWith("fd ")).map((line) => line.split(" "));
      expect(files.length).toBeGreaterThan(2);
      // The shell's own: the pipe from `readlink`.
      const foreign = files.filter(([, fd, file]) => Number(fd) > 3 && file !== "/dev/null");
      expect(foreign).toEqual([]);
    });

    it("reaches no network of the host's, nor its abstract sockets", async () => {
      await using t = createStore();
      let connections = 0;
      const count = (): void => void connections++;
      const [tcp, abstract] = [createServer(count), createServer(count)];
      await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
      const name = `devshell-test-${process.pid}`;
      await new Promise<void>((resolve) => abstract.listen(`\0${name}`, resolve));
      const address = tcp.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      try {
        const { report } = await attempt(t, {
          script: `
            perl -MSocket -e '
              socket(S, PF_INET, SOCK_STREAM, 0);
              connect(S, sockaddr_in(${port}, inet_aton("127.0.0.1"))) and print "ESCAPED: tcp\\n";
              socket(U, PF_UNIX, SOCK_STREAM, 0);
              connect(U, pack("S a*", AF_UNIX, "\\0${name}")) and print "ESCAPED: abstract socket\\n";
              socket(R, PF_INET, SOCK_RAW, 1) and print "ESCAPED: raw socket\\n";'
            echo > $out`,
        });
        expect(report.failures).toEqual([]);
        expect(connections).toBe(0);
      } finally {
        tcp.close();
        abstract.close();
      }
    });

    it("sees and signals no other processes, and shares no memory with them", async () => {
      await using t = createStore();
      const shared = `/dev/shm/devshell-test-${process.pid}`;
      writeFileSync(shared, "");
      try {
        const { report, lines } = await attempt(t, {
          script: `
            [ -e ${shared} ] && echo "ESCAPED: shared memory"
            kill -0 ${process.pid} 2>/dev/null && [ ${process.pid} -gt 100 ] && echo "ESCAPED: signals"
            for process in /proc/[0-9]*; do read -r name < $process/comm; echo "process \${process##*/} $name"; done
            [ "$(ipcs -m 2>/dev/null | grep -c '^0x')" -gt 0 ] && echo "ESCAPED: System V memory"
            echo > $out`,
        });
        expect(report.failures).toEqual([]);
        const pids = lines
          .filter((line) => line.startsWith("process "))
          .map((line) => Number(line.split(" ")[1]));
        expect(pids.length).toBeGreaterThan(0);
        expect(pids.every((pid) => pid < 1000)).toBe(true);
      } finally {
        rmSync(shared);
      }
    });

    it("has harmless devices and an unwritable kernel", async () => {
      await using t = createStore();
      const { report, lines } = await attempt(t, {
        script: `
          for device in /dev/*; do [ -b $device ] && echo "ESCAPED: $device"; echo "device \${device##*/}"; done
          for file in /dev/mem /dev/kmsg /dev/fuse /dev/loop-control /dev/net/tun /sys/kernel; do
            [ -e $file ] && echo "ESCAPED: $file"
          done
          mknod /tmp/null c 1 3 2>/dev/null && echo "ESCAPED: mknod"
          for file in /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches; do
            (echo 0 > $file) 2>/dev/null && echo "ESCAPED: wrote $file"
          done
          (: < /proc/kcore) 2>/dev/null && head -c 1 /proc/kcore 2>/dev/null | grep -q . && echo "ESCAPED: kcore"
          (: < /dev/tty) 2>/dev/null && echo "ESCAPED: a terminal"
          hostname elsewhere 2>/dev/null && echo "ESCAPED: hostname"
          echo > $out`,
      });
      expect(report.failures).toEqual([]);
      const devices = lines.filter((line) => line.startsWith("device ")).map((line) => line.slice(7));
      const known = [
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
      ];
      expect(devices.filter((device) => !known.includes(device))).toEqual([]);
    });

    it("leaves no process behind, however it hides it", async () => {
      await using t = createStore();
      const marker = `devshell-leftover-${process.pid}`;
      const { report } = await attempt(t, {
        script: `
          (setsid sh -c 'exec > /dev/null 2>&1; : ${marker}; while :; do sleep 1; done' &) &
          setsid --fork perl -e '$0 = "${marker}"; open(STDOUT, ">", "/dev/null"); open(STDERR, ">", "/dev/null"); sleep 600'
          echo > $out`,
      });
      expect(report.failures).toEqual([]);
      const leftovers = (): string[] =>
        readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandLine(name).includes(marker));
      const deadline = Date.now() + 20_000;
      while (leftovers().length > 0 && Date.now() < deadline) await sleep(20);
      expect(leftovers()).toEqual([]);
    });

    it("makes nothing that runs with our rights", async () => {
      await using t = createStore({ "filter-syscalls": "false" }, { keepFailed: true });
      const { report, drv } = await attempt(t, {
        script: "mkdir $out; cp /usr/bin/true $out/true; chmod 6755 $out/true; chmod 7755 $out",
      });
      expect(report.failures).toEqual([]);
      expect(statSync(t.output(drv)).mode & 0o7777).toBe(0o555);
      expect(statSync(join(t.output(drv), "true")).mode & 0o7777).toBe(0o555);
      await attempt(t, { script: "cp /usr/bin/true /build/true; chmod 6755 /build/true; exit 1" });
      const builds = join(t.dir, "state", "builds");
      const kept = readdirSync(builds).map((name) => join(builds, name, "build", "true"));
      expect(kept.map((file) => statSync(file).mode & 0o7777)).toEqual([0o755]);
    });

    it.runIf(process.geteuid?.() === 0)("lets nobody of the host into its directory", async () => {
      await using t = createStore();
      chmodSync(t.dir, 0o755);
      const builds = join(t.dir, "state", "builds");
      const attempted = attempt(t, {
        script:
          "mkdir /build/open; chmod 777 /build /build/open; while ! [ -e /build/go ]; do sleep 0.02; done; echo > $out",
      });
      const open = await vi.waitFor(
        () => {
          const place = readdirSync(builds, { recursive: true, encoding: "utf8" }).find(
            (name) => basename(name) === "open",
          );
          const path = join(builds, place ?? "none yet");
          expect(statSync(path).mode & 0o777).toBe(0o777);
          return path;
        },
        { timeout: 10_000 },
      );
      const canList = (path: string): boolean => {
        const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "ls", path];
        return spawnSync("setpriv", asNobody, { stdio: "ignore" }).status === 0;
      };
      const seen = [canList(builds), canList(open)];
      writeFileSync(join(open, "../go"), "");
      expect((await attempted).report.failures).toEqual([]);
      expect(seen).toEqual([true, false]);
    });

    it("gets no set-id bit and no extended attribute from the kernel", async () => {
      await using t = createStore();
      const { report, lines } = await attempt(t, {
        script: `
          cd /build; : > file; mkdir dir
          for mode in 4755 2755 6711; do
            chmod $mode file 2>/dev/null && echo "ESCAPED: $mode"
            chmod $mode dir 2>/dev/null && echo "ESCAPED: $mode of a directory"
            install -m $mode /usr/bin/true installed$mode 2>/dev/null && echo "ESCAPED: $mode by install"
          done
          perl -MFcntl -e 'sysopen(F, "made", O_CREAT | O_WRONLY, 04755) and print "ESCAPED: open\\n"; print "$!\\n"'
          if [ $(uname -m) = x86_64 ]; then
            perl -e '($f, $n, $v) = ("file", "user.x", "1");
              syscall(188, $f, $n, $v, 1, 0) == 0 and print "ESCAPED: setxattr\\n"; print "$!\\n"'
          fi
          find . -perm /6000 | sed 's/^/ESCAPED: /'
          chmod 1755 dir && chmod 755 file && cp -a file copy && echo done > $out`,
      });
      expect(report.failures).toEqual([]);
      expect(lines[0]).toBe("Operation not permitted");
      if (process.arch === "x64") expect(lines[1]).toBe("Operation not supported");
    });

    it.skipIf(!canScopeSockets())("reaches no abstract socket with the host's network either", async () => {
      await using t = createStore();
      const name = `devshell-escape-${process.pid}`;
      const server = createServer((socket) => socket.end("ESCAPED: a host's abstract socket\n"));
      await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
      try {
        const { report, lines } = await attempt(t, {
          hash: FIXED,
          script: `
            perl -MSocket -e '
              socket(U, PF_UNIX, SOCK_STREAM, 0);
              connect(U, pack("S a*", AF_UNIX, "\\0${name}")) ? print "ESCAPED: abstract socket\\n" : print "$!\\n";'
            printf content > $out`,
        });
        expect(report.failures.map(({ message }) => message).join()).toMatch(/^(?:hash mismatch .*)?$/s);
        expect(lines[0]).toBe("Operation not permitted");
      } finally {
        server.close();
      }
    });

    it("is in no group but its own, or is not started where that is required", async () => {
      await using t = createStore({ "require-drop-supplementary-groups": "true" });
      const { report, lines } = await attempt(t, { script: "id -G; echo done > $out" });
      if (report.failures.length === 0) expect(lines[0]).toBe("100");
      else {
        expect(await canDropGroups()).toBe(false);
        expect(report.failures[0]?.message).toMatch(/setgroups failed/);
      }
    });

    it("has nothing of the host's taken for its output", async () => {
      await using t = createStore();
      const victim = victimIn(t);
      const link = await attempt(t, { script: `ln -s ${victim} $out` });
      expect(link.report.failures).toEqual([]);
      expect(readlinkSync(t.output(link.drv))).toBe(victim);
      const inside = await attempt(t, {
        script: `mkdir $out; ln -s ${victim}/file $out/file; ln -s . $out/loop`,
      });
      expect(inside.report.failures).toEqual([]);
      expect(lstatSync(join(t.output(inside.drv), "file")).isSymbolicLink()).toBe(true);
      expectWhole(victim);
      for (const script of [
        `echo > $out; mv $NIX_STORE /moved && ln -s ${t.dir} $NIX_STORE; exit 0`,
        `dir=\${NIX_STORE%/*}; mv $dir /moved && ln -s ${t.dir} $dir; exit 0`,
      ]) {
        const { report, drv } = await attempt(t, { script: `${script} # ${victim}` });
        // Refused outright where the builder is another user than we.
        if (report.failures.length === 0) expect(readFileSync(t.output(drv), "utf8")).toBe("\n");
        else expect(t.store.isValidPath(t.output(drv))).toBe(false);
      }
      expectWhole(victim);
    });

    it.each([
      ["a pipe", "mkfifo $out/x"],
      [
        "a socket",
        `perl -MSocket -e 'chdir $ENV{out}; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("x"))'`,
      ],
    ])("cannot put %s into the store", async (_what, script) => {
      await using t = createStore();
      const { report, drv } = await attempt(t, { script: `mkdir $out; ${script}` });
      expect(report.failures[0]?.message).toContain("has an unsupported type");
      expect(t.store.isValidPath(t.output(drv))).toBe(false);
    });

    it("cannot change an input, by a hard link or a mount", async () => {
      await using t = createStore();
      const input = t.derivation({ name: "input", script: "echo input > $out" });
      const place = t.output(input);
      const { report } = await attempt(t, {
        inputs: [input],
        script: `
          chmod u+w ${place} 2>/dev/null && echo "ESCAPED: chmod"
          (echo bad > ${place}) 2>/dev/null && echo "ESCAPED: write"
          rm -f ${place} 2>/dev/null && echo "ESCAPED: rm"
          mv ${place} /tmp/x 2>/dev/null && echo "ESCAPED: mv"
          ln ${place} /tmp/hard 2>/dev/null && echo "ESCAPED: ln"
          touch -d @5 ${place} 2>/dev/null && echo "ESCAPED: touch"
          echo > $out`,
      });
      expect(report.failures).toEqual([]);
      expect(readFileSync(place, "utf8")).toBe("input\n");
    });

    // CVE-2025-46416, CVE-2025-46415: what is done to the build directory once the builder has ended.
    it("leads the clean-up of its directory nowhere", async () => {
      await using t = createStore();
      const victim = victimIn(t);
      const { report } = await attempt(t, {
        script: `
          ln -s ${victim} /build/link; ln -s ${victim}/file /build/file
          mkdir -p /build/a/b; ln -s ${victim} /build/a/b/link; chmod 0 /build/a/b; chmod 500 /build/a
          mkdir -p /tmp/x; ln -s ${victim} /tmp/x/y; chmod 0 /tmp/x
          echo > $out`,
      });
      expect(report.failures).toEqual([]);
      expectWhole(victim);
      expect(readdirSync(join(t.dir, "state", "builds"))).toEqual([]);
    });

    it("works in a directory that no other user may enter", async () => {
      await using t = createStore();
      const drv = t.derivation({
        name: "slow",
        script:
          "PATH=/usr/bin; chmod 777 /build /; while [ ! -e /build/go ]; do sleep 0.05; done; echo > $out",
      });
      const building = t.build(drv);
      const builds = join(t.dir, "state", "builds");
      while (!existsSync(builds) || readdirSync(builds).length === 0) await sleep(5);
      const modes: number[] = [];
      while (modes.length < 10 && existsSync(`${drv}.chroot`)) {
        modes.push(statSync(`${drv}.chroot`).mode & 0o077);
        await sleep(20);
      }
      for (const name of readdirSync(builds)) writeFileSync(join(builds, name, "build/go"), "");
      expect((await building).failures).toEqual([]);
      expect(new Set(modes)).toEqual(new Set([0]));
    });

    // CVE-2024-27297: fixed outputs share the host's network, so a builder can hand an open file to another process.
    it("cannot have a fixed output changed after its hash was checked", async () => {
      await using t = createStore();
      const drv = t.derivation({
        name: "fixed",
        hash: FIXED,
        script: "printf hi > $out; while [ ! -e /build/go ]; do read -r x < /dev/null || :; done",
      });
      const output = t.output(drv);
      const building = t.build(drv);
      const inside = join(`${drv}.chroot`, "root", output);
      while (!existsSync(inside) || readFileSync(inside, "utf8") !== "hi") await sleep(5);
      // As the process would that was handed the file.
      const smuggled = openSync(inside, "r+");
      const builds = join(t.dir, "state", "builds");
      for (const name of readdirSync(builds)) writeFileSync(join(builds, name, "build/go"), "");
      expect((await building).failures).toEqual([]);
      chmodSync(output, 0o644);
      writeSync(smuggled, "no", 0);
      closeSync(smuggled);
      expect(readFileSync(output, "utf8")).toBe("hi");
    });

    // GHSA-g3g9-5vj6-r3gj (CVE-2026-39860): where that copy is made, no link of the builder's may lie in wait.
    it("has no copy of its output written through its links", async () => {
      await using t = createStore();
      const victim = victimIn(t);
      const { report } = await attempt(t, {
        hash: FIXED,
        script: `
          printf hi > $out
          for suffix in .tmp .rewritten .copy .check .lock -tmp; do ln -s ${victim}/file $out$suffix; done
          for name in tmp x 0 1 rewritten copy; do ln -s ${victim}/file $NIX_STORE/$name; done`,
      });
      expect(report.failures).toEqual([]);
      expectWhole(victim);
    });

    // GHSA-vh5x-56v6-4368 (CVE-2026-44028): archives of directories nested without end.
    it("cannot end us by directories nested without end", async () => {
      await using t = createStore();
      const { report, drv } = await attempt(t, {
        script: `
          mkdir $out; cd $out
          perl -e 'for (1 .. 600) { mkdir "directory" or die; chdir "directory" or die }'
          cd /build; perl -e 'for (1 .. 600) { mkdir "directory" or die; chdir "directory" or die }'`,
      });
      expect(report.results.map(({ status }) => status)).toEqual(["failed"]);
      expect(report.failures[0]?.message).toMatch(/too deep|too long/i);
      expect(t.store.isValidPath(t.output(drv))).toBe(false);
      expect(readdirSync(join(t.dir, "state", "builds"))).toEqual([]);
      expect(existsSync(`${drv}.chroot`)).toBe(false);
    });
  },
);

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
