import { describe, expect, it } from "vitest";
import { ClientLog } from "../../../store/daemon/clientLog.ts";
import { LATEST } from "../../../store/protocol/version.ts";
import type { StorePath } from "../../../store/types.ts";

describe("a client that does not read", () => {
  it("misses a builder's lines, but learns what began and ended", () => {
    let unreadBytes = 0;
    const log = new ClientLog(
      LATEST,
      (bytes) => (unreadBytes += bytes.length),
      () => unreadBytes > 10_000,
    );
    log.start();
    const tell = log.events();
    const path = `/nix/store/${"0".repeat(32)}-noisy.drv` as StorePath;
    tell({ kind: "start", id: 1, activity: "build", name: "noisy", path });
    const line = "y".repeat(100);
    for (let i = 0; i < 5000; i++) tell({ kind: "log", id: 1, line });
    for (let i = 0; i < 5000; i++) log.say("info", line);
    expect(unreadBytes).toBeLessThan(10_400);
    const before = unreadBytes;
    log.finish();
    expect(unreadBytes).toBe(before + 8);
  });
});
