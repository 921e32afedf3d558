import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DevshellError, WorkerPool } from "../../core/index.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Request {
  readonly kind: "square" | "fail" | "bug" | "spin" | "exit" | "notes";
  readonly value: number;
}

describe("WorkerPool", () => {
  let dir = "";
  let entry = "";

  beforeAll(async () => {
    dir = await mkdtemp(join(ROOT, "tests/core/tmp-"));
    entry = join(relative(ROOT, dir), "test.worker");
    writeFileSync(
      join(dir, "test.worker.ts"),
      `import { DevshellError, serveWorker } from "../../../core/index.ts";
      serveWorker<{ kind: string; value: number }, number, string>(async ({ kind, value }, note) => {
        if (kind === "fail") throw new DevshellError("TEST_FAILED", "it failed", { hint: "try" });
        if (kind === "bug") throw new TypeError("a bug");
        if (kind === "exit") process.exit(3);
        if (kind === "notes") for (let i = 0; i < value; i++) note("note " + i);
        while (kind === "spin");
        return value * value;
      });`,
    );
  });
  afterAll(() => rm(dir, { recursive: true }));

  it("answers many requests with few workers", async () => {
    await using pool = new WorkerPool<Request, number>(entry, 2);
    const values = [1, 2, 3, 4, 5, 6, 7];
    const replies = await Promise.all(values.map((value) => pool.run({ kind: "square", value })));
    expect(replies).toEqual(values.map((value) => value * value));
  });

  it("brings errors and notes back, and goes on after a worker died", async () => {
    await using pool = new WorkerPool<Request, number, string>(entry, 1);
    const failure = await pool.run({ kind: "fail", value: 0 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DevshellError);
    expect(failure).toMatchObject({ code: "TEST_FAILED", message: "it failed", hint: "try" });
    await expect(pool.run({ kind: "bug", value: 0 })).rejects.toThrow("a bug");
    await expect(pool.run({ kind: "exit", value: 0 })).rejects.toThrow("Worker ended with status 3");
    const notes: string[] = [];
    expect(await pool.run({ kind: "notes", value: 2 }, { onNote: (note) => void notes.push(note) })).toBe(4);
    expect(notes).toEqual(["note 0", "note 1"]);
  });

  it("ends work that is aborted, running or waiting", async () => {
    await using pool = new WorkerPool<Request, number>(entry, 1);
    const controller = new AbortController();
    const { signal } = controller;
    const running = pool.run({ kind: "spin", value: 0 }, { signal });
    const waiting = pool.run({ kind: "square", value: 3 }, { signal });
    const patient = pool.run({ kind: "square", value: 4 });
    setTimeout(() => controller.abort(new Error("enough")), 200);
    await expect(running).rejects.toThrow("enough");
    await expect(waiting).rejects.toThrow("enough");
    expect(await patient).toBe(16);
  });
});
