import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  fits,
  machineAddress,
  parseMachines,
  withoutMachines,
  type Machine,
} from "../../../store/builders/machines.ts";
import { MachineSlots } from "../../../store/builders/machineSlots.ts";
import { TestDirectory } from "../testStore.ts";

const parse = (text: string): readonly Machine[] => parseMachines(text, "x86_64-linux");
const set = (...words: string[]): ReadonlySet<string> => new Set(words);
const DEFAULTS = {
  systems: set("x86_64-linux"),
  sshKey: undefined,
  maxJobs: 1,
  speedFactor: 1,
  supportedFeatures: set(),
  mandatoryFeatures: set(),
  hostKey: undefined,
};

describe("withoutMachines", () => {
  it("leaves the others as they are, those of files too", () => {
    using directory = new TestDirectory();
    const file = join(directory.path, "machines");
    writeFileSync(file, "auto - - 2\nhost aarch64-linux - 4 # of the team\n");
    const isOurs = ({ url }: Machine): boolean => url === "auto";
    const { rest, taken } = withoutMachines(`ssh://a; auto - - 3 1; @${file}`, "x86_64-linux", isOurs);
    expect(taken.map(({ maxJobs }) => maxJobs)).toEqual([3, 2]);
    expect(parse(rest)).toEqual(parse("ssh://a; host aarch64-linux - 4"));
    expect(withoutMachines("auto", "x86_64-linux", isOurs).rest).toBe("");
  });
});

describe("parseMachines", () => {
  it("reads hosts, addresses and paths", () => {
    const urls = (text: string): string[] => parse(text).map(({ url }) => url);
    expect(urls("nix@scratchy.labs.cs.uu.nl")).toEqual(["ssh://nix@scratchy.labs.cs.uu.nl"]);
    expect(urls("ssh-ng://a; /machine ;b\n  c # no comment\n#d\n\n")).toEqual([
      "ssh-ng://a",
      "/machine",
      "ssh://b",
      "ssh://c",
    ]);
    expect(urls("auto; daemon?x=y; local; auto-host")).toEqual([
      "auto",
      "daemon?x=y",
      "local",
      "ssh://auto-host",
    ]);
    expect(parse("")).toEqual([]);
    expect(parse("host")).toEqual([{ ...DEFAULTS, url: "ssh://host" }]);
  });

  it("reads all columns, and leaves out those with a dash", () => {
    expect(parse("host i686-linux,armv7l-linux /key 8 0.5 kvm,big mandatory c3NoLWVk")).toEqual([
      {
        url: "ssh://host",
        systems: set("i686-linux", "armv7l-linux"),
        sshKey: "/key",
        maxJobs: 8,
        speedFactor: 0.5,
        supportedFeatures: set("kvm", "big"),
        mandatoryFeatures: set("mandatory"),
        hostKey: "c3NoLWVk",
      },
    ]);
    expect(parse("host - - - - - - -")).toEqual([{ ...DEFAULTS, url: "ssh://host" }]);
    expect(parse("host\t-  -   3 0 a")).toMatchObject([
      { maxJobs: 3, speedFactor: 1, supportedFeatures: set("a") },
    ]);
  });

  it("reads files, which may name others, or not be there", () => {
    using directory = new TestDirectory();
    const [first, second] = ["first", "second"].map((name) => join(directory.path, name));
    writeFileSync(first!, `a ; @${second}\n`);
    writeFileSync(second!, "b # c\n");
    expect(parse(`@${first}; d; @${directory.path}/absent`).map(({ url }) => url)).toEqual([
      "ssh://a",
      "ssh://b",
      "ssh://d",
    ]);
    writeFileSync(second!, `@${first}`);
    expect(() => parse(`@${first}`)).toThrow(/files name each other/);
    expect(() => parse(`@${directory.path}`)).toThrow(/Cannot read machines/);
  });

  it.each([
    ["host - - eight", "column #3"],
    ["host - - -1", "column #3"],
    ["host - - 8 fast", "column #4"],
    ["host - - 8 -3", "speed factor must be >= 0"],
    ["host - - 8 1 a b ===", "column #7"],
    ["- x86_64-linux", "first column"],
  ])("refuses %s", (text, why) => {
    expect(() => parse(text)).toThrow(why);
  });

  it("puts key and host key into the address", () => {
    const [plain, keyed] = parse("ssh://a?x=y - /k%; b - /k 1 1 - - YQ==");
    expect(machineAddress(plain!)).toBe("ssh://a?x=y&ssh-key=%2Fk%25");
    expect(machineAddress(keyed!)).toBe("ssh://b?ssh-key=%2Fk&base64-ssh-public-host-key=YQ%3D%3D");
    expect(machineAddress(parse("/m - /k")[0]!)).toBe("/m");
  });
});

describe("fits", () => {
  const [machine] = parse("host a,b - 1 1 kvm,big must");

  it.each([
    ["a", ["must"], true],
    ["b", ["must", "kvm"], true],
    ["builtin", ["must"], true],
    ["c", ["must"], false],
    ["a", [], false],
    ["a", ["must", "other"], false],
  ])("%s with %j: %s", (system, features, expected) => {
    expect(fits(machine!, { system, features })).toBe(expected);
  });
});

describe("MachineSlots", () => {
  const { signal } = new AbortController();

  it("counts places, also those of others", async () => {
    using directory = new TestDirectory();
    const machines = parse("a - - 2");
    const [ours, others] = [new MachineSlots(directory.path), new MachineSlots(directory.path)];
    const first = await ours.claim(machines, signal);
    const second = await others.claim(machines, signal);
    expect(second?.machine.url).toBe("ssh://a");
    expect(await ours.claim(machines, signal)).toBeUndefined();
    first?.[Symbol.dispose]();
    using third = await others.claim(machines, signal);
    expect(third).toBeDefined();
    second?.[Symbol.dispose]();
    expect(await ours.claim(parse("none - - 0"), signal)).toBeUndefined();
  });

  it("takes the machine with the least load for its speed, then the faster", async () => {
    using directory = new TestDirectory();
    const machines = parse("slow - - 8 1; fast - - 8 2");
    const slots = new MachineSlots(directory.path);
    const claimed: string[] = [];
    const held: Disposable[] = [];
    for (let i = 0; i < 6; i++) {
      const slot = await slots.claim(machines, signal);
      if (slot === undefined) break;
      claimed.push(slot.machine.url.slice(6));
      held.push(slot);
    }
    expect(claimed).toEqual(["fast", "slow", "fast", "fast", "slow", "fast"]);
    held.forEach((slot) => slot[Symbol.dispose]());
  });

  it("lets one at a time send", async () => {
    using directory = new TestDirectory();
    const slots = new MachineSlots(directory.path);
    const url = `ssh://host?${"long=1&".repeat(100)}`;
    await slots.claim(parse("a"), signal).then((slot) => slot?.[Symbol.dispose]());
    const first = await slots.lockUploads(url, signal);
    let hasSecond = false;
    const waiting = slots.lockUploads(url, signal).then((lock) => {
      hasSecond = true;
      return lock;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(hasSecond).toBe(false);
    first[Symbol.dispose]();
    (await waiting)[Symbol.dispose]();
    const stop = new AbortController();
    using _held = await slots.lockUploads(url, signal);
    const given = slots.lockUploads(url, stop.signal);
    stop.abort(new Error("enough"));
    await expect(given).rejects.toThrow();
  });
});
