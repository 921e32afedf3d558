import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDebianCollection, type DebianCollection } from "../../packages/index.ts";
import { findMirrors } from "../../packages/debian/index/mirrors.ts";
import { runIndexTasks } from "../../packages/debian/index/indexWork.ts";
import { SYSTEM_KEYRING } from "../../packages/debian/index/signature.ts";

// Against Debian's real archive, through the machine's own mirror.
const SUITE = "bookworm";
const { main } = findMirrors({ env: process.env });
const isReachable =
  main.length > 0 &&
  runIndexTasks(
    [{ kind: "probe", urls: main.map((url) => `${url}/dists/${SUITE}/no-such-file`) }],
    () => {},
  )[0] === false;
const why = isReachable ? "" : " (skipped: no Debian mirror is known here, or none answers)";
const hasApt = spawnSync("apt-get", ["--version"]).status === 0 && existsSync(SYSTEM_KEYRING);

describe.skipIf(!isReachable)(`Debian's archive${why}`, () => {
  let directory: string;
  let collection: DebianCollection;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "devshell-archive-"));
    // Only the suite itself, so that apt and devshell see the same whatever the machine's sources are.
    collection = openDebianCollection({
      cacheDir: join(directory, "cache"),
      storeDir: "/store",
      mirrors: main,
      env: {},
    });
  });
  afterAll(() => {
    collection.close();
    rmSync(directory, { recursive: true });
  });

  const resolve = (question: object): string[] =>
    (
      JSON.parse(
        collection.call(
          JSON.stringify({
            op: "resolve",
            system: "x86_64-linux",
            suite: SUITE,
            packages: [],
            essential: true,
            ...question,
          }),
        ),
      ) as { name: string; version: string }[]
    ).map(({ name, version }) => `${name}=${version}`);

  it("verifies the signed index and finds its packages", () => {
    const names = JSON.parse(
      collection.call(
        JSON.stringify({
          op: "names",
          kind: "binary",
          system: "x86_64-linux",
          suite: SUITE,
          sourceSuite: SUITE,
        }),
      ),
    ) as object;
    expect(Object.keys(names).length).toBeGreaterThan(50_000);
    expect(resolve({ packages: ["gcc"] })).toEqual(
      expect.arrayContaining([expect.stringMatching(/^libc6=2\.36-/)]),
    );
  });

  it.skipIf(!hasApt)(
    `chooses what apt-get chooses for pan and jq${hasApt ? "" : " (skipped: no apt-get)"}`,
    () => {
      const essential = resolve({});
      const apt = new PrivateApt(join(directory, "apt"), main);
      apt.install(essential);
      for (const name of ["pan", "jq"]) {
        const ours = resolve({ source: { suite: SUITE, name, profiles: [], indep: true } });
        expect(ours.toSorted(), name).toEqual([...essential, ...apt.buildDependencies(name)].sort());
      }
    },
    // 10 s, and 260 with a load of 20: all of it is apt's and ours computing.
    600_000,
  );
});

/** An apt with a root of its own, which knows one suite and believes what it is told is installed. */
class PrivateApt {
  readonly #root: string;
  readonly #options: string[];

  constructor(root: string, mirrors: readonly string[]) {
    this.#root = root;
    for (const path of [
      "etc/apt/apt.conf.d",
      "etc/apt/preferences.d",
      "lists/partial",
      "cache/archives/partial",
      "log",
    ])
      mkdirSync(join(root, path), { recursive: true });
    const lines = mirrors.flatMap((url) =>
      ["deb", "deb-src"].map((type) => `${type} [signed-by=${SYSTEM_KEYRING}] ${url} ${SUITE} main`),
    );
    writeFileSync(join(root, "etc/apt/sources.list"), `${lines.join("\n")}\n`);
    writeFileSync(join(root, "status"), "");
    this.#options = [
      `Dir::Etc=${root}/etc/apt`,
      `Dir::State=${root}`,
      `Dir::State::status=${root}/status`,
      `Dir::Cache=${root}/cache`,
      `Dir::Log=${root}/log`,
      "APT::Architecture=amd64",
      "APT::Architectures::=amd64",
      "APT::Sandbox::User=",
    ].flatMap((option) => ["-o", option]);
    this.#run("apt-get", ["update"]);
  }

  install(packages: readonly string[]): void {
    const stanzas = this.#run("apt-cache", ["show", ...packages]);
    writeFileSync(
      join(this.#root, "status"),
      stanzas.replaceAll(/^Package: .*$/gm, "$&\nStatus: install ok installed"),
    );
  }

  buildDependencies(source: string): string[] {
    const plan = this.#run("apt-get", ["--simulate", "--no-install-recommends", "build-dep", source]);
    return [...plan.matchAll(/^Inst (\S+) \((\S+)/gm)].map(([, name, version]) => `${name}=${version}`);
  }

  #run(program: string, words: readonly string[]): string {
    return execFileSync(program, [...this.#options, ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 1 << 28,
    });
  }
}
