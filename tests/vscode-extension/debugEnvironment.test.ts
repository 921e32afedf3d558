import { describe, expect, it } from "vitest";
import {
  envFileNames,
  withDebugEnvironment,
  type DebugEnvironment,
} from "../../vscode-extension/src/run/debugEnvironment.ts";
import { prependTo, setTo, unset } from "./reportOf.ts";

const base = { PATH: "/usr/bin", EDITOR: "vi", GONE: "1" };
const environment: DebugEnvironment = {
  variables: [
    setTo("GREETING", "hello"),
    setTo("TEXT", "a\nb"),
    prependTo("PATH", "/store/bin"),
    unset("GONE"),
  ],
  base,
  current: base,
};
const launch = (type: string, fields: object = {}) => ({ type, request: "launch", name: "x", ...fields });

describe("withDebugEnvironment", () => {
  it("sets, prepends and takes away where the adapter can", () => {
    for (const type of ["pwa-node", "node", "go", "debugpy"])
      expect(withDebugEnvironment(launch(type), environment)["env"], type).toEqual({
        GREETING: "hello",
        TEXT: "a\nb",
        PATH: "/store/bin:/usr/bin",
        GONE: null,
      });
  });

  it("leaves unset variables alone where an adapter takes text only", () => {
    expect(withDebugEnvironment(launch("lldb"), environment)["env"]).toEqual({
      GREETING: "hello",
      TEXT: "a\nb",
      PATH: "/store/bin:/usr/bin",
    });
  });

  it("writes a list for cppdbg, without values that gdb cannot be told", () => {
    const given = [{ name: "GREETING", value: "mine" }];
    expect(
      withDebugEnvironment(launch("cppdbg", { environment: given }), environment)["environment"],
    ).toEqual([
      { name: "PATH", value: "/store/bin:/usr/bin" },
      { name: "GREETING", value: "mine" },
    ]);
  });

  it("keeps the user's own values, of envFile too", () => {
    const config = launch("pwa-node", { env: { PATH: "/mine", OTHER: "x", GONE: "kept" } });
    const fileNames = envFileNames("# c\nexport GREETING=1\n TEXT = 2\n");
    expect(withDebugEnvironment(config, { ...environment, fileNames })["env"]).toEqual({
      PATH: "/mine",
      OTHER: "x",
      GONE: "kept",
    });
    expect(config).toHaveProperty("env", { PATH: "/mine", OTHER: "x", GONE: "kept" });
  });

  it("tells programs in the terminal only what is taken away", () => {
    const config = launch("pwa-node", { console: "integratedTerminal" });
    expect(withDebugEnvironment(config, environment)["env"]).toEqual({ GONE: null });
    expect(withDebugEnvironment(launch("node-terminal"), environment)["env"]).toEqual({ GONE: null });
  });

  it("undoes another folder's environment, which the extension host has", () => {
    const current = { ...base, PATH: "/other/bin:/usr/bin", EDITOR: "emacs", OTHER: "1", GREETING: "theirs" };
    expect(withDebugEnvironment(launch("pwa-node"), { ...environment, current })["env"]).toEqual({
      GREETING: "hello",
      TEXT: "a\nb",
      PATH: "/store/bin:/usr/bin",
      EDITOR: "vi",
      OTHER: null,
      GONE: null,
    });
  });

  it("leaves the rest alone: attach, browsers, the editor itself, unknown adapters, other forms", () => {
    for (const config of [
      { ...launch("pwa-node"), request: "attach" },
      launch("extensionHost"),
      launch("pwa-extensionHost"),
      launch("chrome"),
      launch("pwa-msedge"),
      launch("unheard-of"),
      launch("constructor"),
      launch("lldb-dap", { env: ["A=b"] }),
    ])
      expect(withDebugEnvironment(config, environment)).toBe(config);
    expect(withDebugEnvironment(launch("unheard-of", { env: {} }), environment)["env"]).toMatchObject({
      GREETING: "hello",
    });
  });

  it("does not touch a configuration for nothing", () => {
    const config = launch("pwa-node");
    expect(withDebugEnvironment(config, { variables: [unset("NEVER")], base, current: base })).toBe(config);
  });
});
