import { PassThrough } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { ClientLog } from "../../../store/daemon/clientLog.ts";
import { Outbox } from "../../../store/daemon/outbox.ts";
import { LATEST } from "../../../store/protocol/version.ts";
import type { StorePath } from "../../../store/types.ts";

const PATH = `/nix/store/${"0".repeat(32)}-noisy.drv` as StorePath;
const LINE = "y".repeat(100);

describe("a client that does not read", () => {
  it("misses a builder's lines, but learns what began and ended", () => {
    const output = new PassThrough();
    const outbox = new Outbox(output);
    const log = new ClientLog(LATEST, outbox, 100_000);
    log.start();
    const tell = log.events();
    tell({ kind: "start", id: 1, activity: "build", name: "noisy", path: PATH });
    for (let i = 0; i < 5000; i++) tell({ kind: "log", id: 1, line: LINE });
    for (let i = 0; i < 5000; i++) log.say("info", LINE);
    expect(outbox.unreadBytes).toBeLessThan(100_400);
    const before = outbox.unreadBytes;
    log.finish();
    expect(outbox.unreadBytes).toBe(before + 8);
  });

  it("is sent what was said together, in order, once it reads again", async () => {
    const output = new PassThrough({ highWaterMark: 1000 });
    const write = vi.spyOn(output, "write");
    const outbox = new Outbox(output);
    const log = new ClientLog(LATEST, outbox);
    log.start();
    for (let i = 0; i < 5000; i++) log.say("info", `line ${i}`);
    expect(outbox.unreadBytes).toBeGreaterThan(5000 * 24);
    // One by one they would take several times the memory that is counted.
    expect(write.mock.calls.length).toBeLessThan(100);
    log.finish();
    const sent = outbox.send(Buffer.from("answer"));
    output.end();
    const text = Buffer.concat((await output.toArray()) as Buffer[]).toString("latin1");
    await sent;
    expect(text.match(/line \d+/g)).toEqual(Array.from({ length: 5000 }, (_, i) => `line ${i}`));
    expect(text.endsWith("answer")).toBe(true);
  });
});
