import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LocalStore, readStoreConfig, resolveStoreSettings } from "../../store/index.ts";
import { TestDirectory } from "./testStore.ts";

describe("where the store is", () => {
  it("is where variables say", () => {
    const env = {
      HOME: "/h",
      NIX_STORE_DIR: "/s/store/",
      NIX_STATE_DIR: "/s/var",
      NIX_LOG_DIR: "/s/log",
      NIX_CONF_DIR: "/s/etc",
    };
    const { config: _config, ...place } = resolveStoreSettings(env);
    expect(place).toEqual({
      cacheDir: "/h/.cache/nix",
      storeDir: "/s/store",
      stateDir: "/s/var",
      logDir: "/s/log",
      confDir: "/s/etc",
      rung: "given",
    });
    expect(resolveStoreSettings({ HOME: "/h", NIX_STORE_DIR: "/s/store" }).stateDir).toBe("/nix/var/nix");
  });

  it("is a prefix of the user's own where /nix/store cannot be theirs", () => {
    using dir = new TestDirectory();
    // A state directory that cannot be made stands for a /nix that is not ours.
    writeFileSync(join(dir.path, "file"), "");
    const stateDir = join(dir.path, "file/var");
    const env = { HOME: dir.path, XDG_DATA_HOME: join(dir.path, "data"), NIX_STATE_DIR: stateDir };
    const settings = resolveStoreSettings(env, { uid: 1000 });
    expect(settings).toMatchObject({ storeDir: join(dir.path, "data/devshell/store"), rung: "prefix" });
    expect(resolveStoreSettings({ HOME: dir.path, NIX_STATE_DIR: stateDir }, { uid: 1000 }).storeDir).toBe(
      join(dir.path, ".local/share/devshell/store"),
    );
  });

  it("is below a given root, seen as /nix/store", () => {
    using dir = new TestDirectory();
    const settings = resolveStoreSettings({ HOME: dir.path, NIX_CONF_DIR: dir.path }, { store: dir.path });
    expect(settings).toMatchObject({
      storeDir: "/nix/store",
      realStoreDir: join(dir.path, "nix/store"),
      stateDir: join(dir.path, "nix/var/nix"),
    });
    using store = LocalStore.open(settings);
    const path = store.addText("t.txt", "x", []);
    expect(path.startsWith("/nix/store/")).toBe(true);
    expect(store.realPath(path).startsWith(dir.path)).toBe(true);
    expect(store.pathInfo(path).narSizeBytes).toBe(120);
  });

  it.each([
    ["daemon", { kind: "socket", path: "/nix/var/nix/daemon-socket/socket" }, true],
    ["unix:///run/my%20socket?root=/somewhere", { kind: "socket", path: "/run/my socket" }, true],
    [
      "ssh-ng://me@host:2222?remote-store=/x&compress=true",
      {
        kind: "command",
        program: "ssh",
        args: ["me@host", "-x", "-C", "-p2222", "--", "nix-daemon", "--stdio", "--store", "/x"],
      },
      false,
    ],
    ["ssh-ng://localhost", { kind: "command", program: "nix-daemon", args: ["--stdio"] }, false],
    [
      // ssh-ed25519 AAAA
      "ssh-ng://host?base64-ssh-public-host-key=c3NoLWVkMjU1MTkgQUFBQQ%3D%3D",
      {
        kind: "command",
        program: "ssh",
        args: ["host", "-x", "--", "nix-daemon", "--stdio"],
        knownHosts: "host ssh-ed25519 AAAA\n",
      },
      false,
    ],
  ])("%s is a daemon's", (remote, address, isHere) => {
    expect(resolveStoreSettings({ NIX_REMOTE: remote, HOME: "/nowhere" })).toMatchObject({
      rung: "daemon",
      storeDir: "/nix/store",
      daemon: { url: remote, address, isHere, isFound: false },
    });
  });

  it("takes the files of a daemon's store from its root", () => {
    const settings = resolveStoreSettings({ HOME: "/nowhere" }, { store: "unix:///s?root=/a" });
    expect(settings).toMatchObject({ realStoreDir: "/a/nix/store", stateDir: "/a/nix/var/nix" });
  });

  it.each([
    ["ssh-ng://-oProxyCommand=x", "SSH_ADDRESS_INVALID"],
    ["ssh-ng://", "SSH_ADDRESS_INVALID"],
    ["ssh-ng://-u@host", "SSH_ADDRESS_INVALID"],
    ["ssh-ng://host?base64-ssh-public-host-key=YQ%3D%3D", "SSH_ADDRESS_INVALID"],
    ["unix://relative", "STORE_REMOTE_UNSUPPORTED"],
  ])("refuses the daemon %s", (remote, code) => {
    expect(() => resolveStoreSettings({ NIX_REMOTE: remote })).toThrow(expect.objectContaining({ code }));
  });

  it("is a directory by either of its names", () => {
    const place = (store: string): unknown => {
      const { storeDir, realStoreDir, stateDir } = resolveStoreSettings({ HOME: "/nowhere" }, { store });
      return { storeDir, realStoreDir, stateDir };
    };
    expect(place("local:///m?state=/s")).toEqual(place("/m?state=/s"));
    expect(place("local:///m%2Bn")).toEqual(place("/m+n"));
    expect(place("./m?state=/s")).toEqual(place(`${process.cwd()}/m?state=/s`));
    expect(place("/m?state=/s")).toMatchObject({ realStoreDir: "/m/nix/store", stateDir: "/s" });
  });

  it("refuses a relative directory", () => {
    expect(() => resolveStoreSettings({ NIX_STORE_DIR: "store" })).toThrow(
      /NIX_STORE_DIR "store": it is not an absolute path/,
    );
  });
});

describe("nix.conf", () => {
  it("is read in order, with includes, extra- and old names", () => {
    using dir = new TestDirectory();
    mkdirSync(join(dir.path, "home/.config/nix"), { recursive: true });
    writeFileSync(
      join(dir.path, "nix.conf"),
      "# a comment\ncores = 3 # another\n\nsubstituters = https://a\n!include absent.conf\ninclude more.conf\nbuild-max-jobs = 2\n",
    );
    writeFileSync(
      join(dir.path, "more.conf"),
      "keep-outputs = true\nextra-substituters = https://b https://c\n",
    );
    writeFileSync(join(dir.path, "home/.config/nix/nix.conf"), "cores = 4\nsandbox = relaxed\n");
    const env = {
      HOME: join(dir.path, "home"),
      NIX_CONFIG: "max-silent-time = 9\nextra-platforms = i686-linux\nmy-own = a  b",
    };
    const config = readStoreConfig(env, dir.path, {
      overrides: new Map([
        ["extra-trusted-public-keys", "k:x"],
        ["timeout", "7"],
      ]),
    });
    expect(config).toMatchObject({
      cores: 4,
      maxJobs: 2,
      substituters: ["https://a", "https://b", "https://c"],
      keepOutputs: true,
      sandbox: "relaxed",
      maxSilentSeconds: 9,
      buildTimeoutSeconds: 7,
      extraPlatforms: ["i686-linux"],
    });
    expect(config.trustedPublicKeys.at(-1)).toBe("k:x");
    expect(config.trustedPublicKeys.length).toBe(2);
    expect(config.raw.get("my-own")).toBe("a b");
  });

  it.each([
    ["cores", /"NIX_CONFIG" at line 1: expected "name = value"/],
    ["\ncores: 3", /line 2/],
    ["cores = many", /"many" for the option "cores": expected a number/],
    ["sandbox = maybe", /"maybe" for the option "sandbox": expected "true" or "false"/],
    ["include", /"include" takes one path/],
    ["include /absent/nix.conf", /Cannot read configuration "\/absent\/nix.conf"/],
  ])("%j is refused", (text, message) => {
    expect(() => readStoreConfig({ HOME: "/h", NIX_CONFIG: text }, "/absent")).toThrow(message);
  });

  it("does not include itself for ever", () => {
    using dir = new TestDirectory();
    writeFileSync(join(dir.path, "nix.conf"), "include nix.conf\n");
    expect(() => readStoreConfig({ HOME: dir.path }, dir.path)).toThrow(
      /include each other more than 16 deep/,
    );
  });
});
