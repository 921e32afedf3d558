import { describe, expect, it } from "vitest";
import { formatHash, hashBytes } from "../../../core/index.ts";
import type { BuildResult } from "../../../store/protocol/buildResult.ts";
import { WireWriter, type Decoder } from "../../../store/protocol/wire.ts";
import {
  readBuildOptions,
  readIncomingPath,
  readServeBuildResult,
  readServePathInfo,
  serveMinorOf,
  serveVersionNumber,
  writeBuildOptions,
  writeIncomingPath,
  writeServeBuildResult,
  writeServePathInfo,
} from "../../../store/ssh/serveProtocol.ts";
import type { StorePath, ValidPathInfo } from "../../../store/types.ts";

const STORE = "/nix/store";
const path = (name: string): StorePath => `${STORE}/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-${name}` as StorePath;

/** The bytes of a number, or of a string. */
function field(value: number | string): string {
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes.toString("hex");
  }
  const text = Buffer.from(value, "latin1");
  return field(text.length) + text.toString("hex") + "00".repeat((8 - (text.length % 8)) % 8);
}

const fields = (...values: (number | string)[]): string => values.map(field).join("");

function decode<T>(decoder: Decoder<T>, bytes: Buffer): T {
  let at = 0;
  let step = decoder.next();
  while (step.done !== true) {
    if (at + step.value > bytes.length) throw new Error("too short");
    step = decoder.next(bytes.subarray(at, (at += step.value)));
  }
  expect(at).toBe(bytes.length);
  return step.value;
}

function written(write: (writer: WireWriter) => void): Buffer {
  const writer = new WireWriter();
  write(writer);
  return Buffer.from(writer.take());
}

const INFO: ValidPathInfo = {
  path: path("foo"),
  deriver: path("foo.drv"),
  references: [path("foo"), path("bar")],
  narHash: hashBytes("sha256", "x"),
  narSizeBytes: 34_878,
  registrationTime: 0,
  isUltimate: false,
  signatures: ["b:2", "a:1"],
  contentAddress: "fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh",
};

describe("the protocol of nix-store --serve", () => {
  it("numbers its versions", () => {
    expect(serveVersionNumber(8)).toBe(0x208);
    expect([serveMinorOf(0x205), serveMinorOf(0x105)]).toEqual([5, undefined]);
  });

  it.each([
    [4, true],
    [8, true],
    [3, false],
  ])("tells what is known of a path in 2.%i", (minor, hasHash) => {
    const bytes = written((writer) => writeServePathInfo(writer, INFO, minor));
    const expected = fields(
      path("foo.drv"),
      2,
      path("bar"),
      path("foo"),
      34_878,
      34_878,
      ...(hasHash
        ? [`sha256:${formatHash(INFO.narHash, "nix32")}`, INFO.contentAddress ?? "", 2, "a:1", "b:2"]
        : []),
    );
    expect(bytes.toString("hex")).toBe(expected);
    if (!hasHash) return;
    expect(decode(readServePathInfo({ storeDir: STORE, minor }, INFO.path), bytes)).toEqual({
      ...INFO,
      references: [path("bar"), path("foo")],
      signatures: ["a:1", "b:2"],
    });
  });

  it("announces a path that is to be added", () => {
    const bytes = written((writer) => writeIncomingPath(writer, INFO));
    expect(bytes.toString("hex")).toBe(
      fields(
        path("foo"),
        path("foo.drv"),
        INFO.narHash.digest.toString("hex"),
        2,
        path("bar"),
        path("foo"),
        0,
        34_878,
        0,
        2,
        "a:1",
        "b:2",
        INFO.contentAddress ?? "",
      ),
    );
    const { isUltimate: _, registrationTime: __, ...incoming } = INFO;
    expect(decode(readIncomingPath(STORE), bytes)).toEqual({
      ...incoming,
      references: [path("bar"), path("foo")],
      signatures: ["a:1", "b:2"],
    });
  });

  it.each([
    [1, [5, 6]],
    [2, [5, 6, 7]],
    [3, [5, 6, 7, 0, 0]],
    [7, [5, 6, 7, 0, 0, 1]],
  ])("sets a build's limits in 2.%i", (minor, numbers) => {
    const options = { maxSilentSeconds: 5, timeoutSeconds: 6, maxLogBytes: 7, keepFailed: true };
    const bytes = written((writer) => writeBuildOptions(writer, options, minor));
    expect(bytes.toString("hex")).toBe(fields(...numbers));
    expect(decode(readBuildOptions(minor), bytes)).toEqual({
      ...options,
      maxLogBytes: minor >= 2 ? 7 : 0,
      keepFailed: minor >= 7,
    });
  });

  it("refuses repeated builds", () => {
    const bytes = Buffer.from(fields(0, 0, 0, 3, 0, 0), "hex");
    expect(() => decode(readBuildOptions(7), bytes)).toThrow(/repeating builds/);
  });

  it("says how a build went, with its outputs by the version's names", () => {
    const result: BuildResult = {
      status: "built",
      message: "",
      timesBuilt: 1,
      isNonDeterministic: false,
      startTime: 30,
      stopTime: 50,
      outputs: new Map([
        ["out", { path: path("foo"), signatures: [] }],
        ["bin", { path: path("bar"), signatures: ["a:1"] }],
      ]),
    };
    const head = fields(0, "", 1, 0, 30, 50, 2);
    const latest = written((writer) => writeServeBuildResult(writer, result, 8));
    expect(latest.toString("hex")).toBe(head + fields("bin", path("bar"), 1, "a:1", "out", path("foo"), 0));
    expect(decode(readServeBuildResult({ storeDir: STORE, minor: 8 }), latest)).toEqual(result);
    const before = written((writer) => writeServeBuildResult(writer, result, 7));
    expect(decode(readServeBuildResult({ storeDir: STORE, minor: 7 }), before)).toEqual(result);
    const early = written((writer) => writeServeBuildResult(writer, result, 5));
    expect(early.toString("hex")).toBe(fields(0, "", 1, 0, 30, 50));
    const failed = { ...result, status: "timedOut", message: "too slow", outputs: new Map() } as const;
    const bytes = written((writer) => writeServeBuildResult(writer, failed, 8));
    expect(bytes.toString("hex")).toBe(fields(8, "too slow", 1, 0, 30, 50, 0));
    expect(() =>
      decode(
        readServeBuildResult({ storeDir: STORE, minor: 5 }),
        Buffer.from(fields(99, "", 0, 0, 0, 0), "hex"),
      ),
    ).toThrow(/Invalid BuildResult status 99/);
  });
});
