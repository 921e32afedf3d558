import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { parseHash } from "../../../core/index.ts";
import { parseStorePath } from "../../../store/format/storePath.ts";
import { readBuildResult, writeBuildResult, type BuildResult } from "../../../store/protocol/buildResult.ts";
import { ByteSource } from "../../../store/protocol/byteSource.ts";
import { readMessage, writeMessage, type ServerMessage } from "../../../store/protocol/messages.ts";
import {
  formatDerivedPath,
  parseDerivedPath,
  readBasicDerivation,
  readPathInfo,
  writeBasicDerivation,
  writePathInfo,
  type Wire,
} from "../../../store/protocol/values.ts";
import { FEATURE, LATEST } from "../../../store/protocol/version.ts";
import { WireWriter, type Decoder } from "../../../store/protocol/wire.ts";
import type { Derivation, ValidPathInfo } from "../../../store/types.ts";

const STORE = "/nix/store";
const path = (name: string): ReturnType<typeof parseStorePath> =>
  parseStorePath(STORE, `${STORE}/${"0".repeat(31)}${name.length % 10}-${name}`);
const wireOf = (minor: number, features: readonly string[] = []): Wire => ({
  storeDir: STORE,
  version: { minor, features: new Set(features) },
});

async function read<T>(bytes: Buffer, decoder: Decoder<T>): Promise<T> {
  const stream = new PassThrough();
  stream.end(bytes);
  return await new ByteSource(stream).decode(decoder);
}

/** Bytes as the protocol's own reader would see them: numbers and strings, one a line. */
function words(bytes: Buffer): string {
  return (bytes.toString("hex").match(/.{16}/g) ?? []).join("\n");
}

const INFO: ValidPathInfo = {
  path: path("hello"),
  deriver: path("hello.drv"),
  narHash: parseHash(`sha256:${"ab".repeat(32)}`),
  narSizeBytes: 1234,
  references: [path("glibc"), path("hello")],
  registrationTime: 1_700_000_000,
  isUltimate: true,
  signatures: ["key-1:c2ln"],
  contentAddress: undefined,
};

describe("path infos", () => {
  it("are read back as they were written", async () => {
    const writer = new WireWriter();
    writePathInfo(writer, INFO, wireOf(38));
    expect(await read(writer.take(), readPathInfo(wireOf(38), INFO.path))).toEqual({
      ...INFO,
      references: [...INFO.references].sort(),
    });
  });

  it("have the bytes that Nix gives them", () => {
    const writer = new WireWriter();
    writePathInfo(writer, { ...INFO, references: [] }, wireOf(16));
    expect(words(writer.take())).toMatchInlineSnapshot(`
      "3500000000000000
      2f6e69782f73746f
      72652f3030303030
      3030303030303030
      3030303030303030
      3030303030303030
      3030392d68656c6c
      6f2e647276000000
      4000000000000000
      6162616261626162
      6162616261626162
      6162616261626162
      6162616261626162
      6162616261626162
      6162616261626162
      6162616261626162
      6162616261626162
      0000000000000000
      00f1536500000000
      d204000000000000
      0100000000000000
      0100000000000000
      0a00000000000000
      6b65792d313a6332
      6c6e000000000000
      0000000000000000"
    `);
  });

  it("before 1.16 have neither trust nor signatures", async () => {
    const writer = new WireWriter();
    writePathInfo(writer, INFO, wireOf(15));
    const old = await read(writer.take(), readPathInfo(wireOf(15), INFO.path));
    expect(old).toMatchObject({ isUltimate: false, signatures: [], narSizeBytes: 1234 });
  });

  it("with paths of another store are refused", async () => {
    const writer = new WireWriter();
    writePathInfo(writer, { ...INFO, deriver: undefined }, wireOf(38));
    const elsewhere = { ...wireOf(38), storeDir: "/other/store" };
    await expect(read(writer.take(), readPathInfo(elsewhere, INFO.path))).rejects.toThrow("/nix/store");
  });
});

describe("what is to be built", () => {
  const drvPath = path("hello.drv");
  it("is written as each version has it", () => {
    expect(formatDerivedPath({ kind: "built", drvPath, outputs: "*" }, wireOf(30))).toBe(`${drvPath}!*`);
    expect(formatDerivedPath({ kind: "built", drvPath, outputs: "*" }, wireOf(29))).toBe(drvPath);
    expect(formatDerivedPath({ kind: "built", drvPath, outputs: ["out", "dev"] }, wireOf(29))).toBe(
      `${drvPath}!out,dev`,
    );
    expect(() => formatDerivedPath({ kind: "opaque", path: drvPath }, wireOf(29))).toThrow("1.29");
  });

  it("is read as each version has it", () => {
    expect(parseDerivedPath(wireOf(30), drvPath)).toEqual({ kind: "opaque", path: drvPath });
    expect(parseDerivedPath(wireOf(29), drvPath)).toEqual({ kind: "built", drvPath, outputs: "*" });
    expect(parseDerivedPath(wireOf(38), `${drvPath}!out,dev`)).toEqual({
      kind: "built",
      drvPath,
      outputs: ["out", "dev"],
    });
    const nested = { kind: "built", drvPath, via: ["out"], outputs: ["lib"] } as const;
    expect(parseDerivedPath(wireOf(38), `${drvPath}!out!lib`)).toEqual(nested);
    expect(formatDerivedPath(nested, wireOf(38))).toBe(`${drvPath}!out!lib`);
    expect(() => parseDerivedPath(wireOf(38), `${drvPath}${"!out".repeat(99)}`)).toThrow("too many outputs");
    expect(() => parseDerivedPath(wireOf(38), "/etc/passwd")).toThrow();
  });
});

describe("derivations without inputs of their own", () => {
  const hash = parseHash(`sha256:${"cd".repeat(32)}`);
  const derivation: Derivation = {
    name: "hello",
    outputs: new Map([
      ["dev", { kind: "contentAddressed", algorithm: "sha256", method: "nar" }],
      ["out", { kind: "inputAddressed", path: path("hello") }],
      ["tmp", { kind: "deferred" }],
      ["var", { kind: "impure", algorithm: "sha256", method: "nar" }],
    ]),
    inputDrvs: new Map(),
    inputSrcs: [path("glibc")],
    system: "x86_64-linux",
    builder: "/bin/sh",
    args: ["-c", "true"],
    env: new Map([
      ["a", "1"],
      ["name", "hello"],
    ]),
  };

  it("are read back as they were written", async () => {
    const writer = new WireWriter();
    writeBasicDerivation(writer, derivation);
    expect(await read(writer.take(), readBasicDerivation(wireOf(38), "hello"))).toEqual(derivation);
  });

  it("of a fixed output must name the path that follows from its hash", async () => {
    const writer = new WireWriter();
    const wrong = new Map([["out", { kind: "fixed", path: path("other"), hash, method: "nar" } as const]]);
    writeBasicDerivation(writer, { ...derivation, outputs: wrong });
    await expect(read(writer.take(), readBasicDerivation(wireOf(38), "hello"))).rejects.toThrow(
      "incorrect output",
    );
  });
});

describe("results of builds", () => {
  const result: BuildResult = {
    status: "built",
    message: "",
    timesBuilt: 1,
    isNonDeterministic: false,
    startTime: 30,
    stopTime: 50,
    outputs: new Map([["out", { path: path("hello"), signatures: ["k:s"] }]]),
  };

  it.each([
    ["the latest", LATEST.minor, [...LATEST.features]],
    ["today's stable", 38, []],
    ["1.34", 34, []],
    ["1.28", 28, []],
  ])("are read back as they were written: %s", async (_, minor, features) => {
    const wire = wireOf(minor, features);
    const writer = new WireWriter();
    writeBuildResult(writer, result, wire);
    const times = minor < 29 ? { timesBuilt: 0, startTime: 0, stopTime: 0 } : {};
    expect(await read(writer.take(), readBuildResult(wire))).toEqual({ ...result, ...times });
  });

  it("of the oldest clients are a status and a message", () => {
    const writer = new WireWriter();
    writeBuildResult(writer, { ...result, status: "timedOut", message: "late" }, wireOf(14));
    expect(words(writer.take())).toBe(
      ["0800000000000000", "0400000000000000", "6c61746500000000"].join("\n"),
    );
  });

  it("of unknown status are refused", async () => {
    const bytes = new WireWriter().number(99).string("").take();
    await expect(read(bytes, readBuildResult(wireOf(14)))).rejects.toThrow("Invalid BuildResult status 99");
  });

  it("name realisations by the feature that both sides have", () => {
    const writer = new WireWriter();
    writeBuildResult(writer, result, wireOf(38, [FEATURE.realisationWithPath]));
    expect(writer.take().toString("latin1")).not.toContain("outPath");
    writeBuildResult(writer, result, wireOf(38), (output) => `sha256:aa!${output}`);
    expect(writer.take().toString("latin1")).toContain('{"dependentRealisations":{},"id":"sha256:aa!out"');
  });
});

describe("what a server says while it works", () => {
  const messages: readonly ServerMessage[] = [
    { kind: "log", text: "hello\n" },
    {
      kind: "start",
      id: (1n << 63n) + 5n,
      level: 3,
      type: 105,
      text: "building",
      fields: [path("a.drv"), 1],
      parent: 0n,
    },
    { kind: "result", id: 7n, type: 101, fields: ["a line"] },
    { kind: "stop", id: 7n },
    { kind: "read", maxBytes: 4096 },
    { kind: "write", bytes: Buffer.from("data") },
    { kind: "error", error: { message: "it failed", status: 1 } },
    { kind: "last" },
  ];

  it.each(messages.map((message) => [message.kind, message] as const))(
    "%s is read back",
    async (_, message) => {
      for (const { version } of [wireOf(38), wireOf(26)]) {
        const writer = new WireWriter();
        writeMessage(writer, message, version);
        expect(await read(writer.take(), readMessage(version))).toEqual(message);
      }
    },
  );

  it("errors before 1.26 carry a status", async () => {
    const writer = new WireWriter();
    const error = { kind: "error", error: { message: "it failed", status: 100 } } as const;
    writeMessage(writer, error, wireOf(25).version);
    const bytes = writer.take();
    expect(words(bytes)).toBe(
      [
        "7074786300000000",
        "0900000000000000",
        "6974206661696c65",
        "6400000000000000",
        "6400000000000000",
      ].join("\n"),
    );
    expect(await read(bytes, readMessage(wireOf(25).version))).toEqual(error);
  });

  it("of an unknown kind is refused", async () => {
    const bytes = new WireWriter().number(0x1234).take();
    await expect(read(bytes, readMessage(wireOf(38).version))).rejects.toThrow("unknown message type 1234");
  });
});
