import { expect, it } from "vitest";
import { CopyProgress } from "../../cli/compat/copyProgress.ts";
import type { StorePath } from "../../store/types.ts";

const A = "/nix/store/a" as StorePath;
const B = "/nix/store/b" as StorePath;

it("tells of paths, bytes, rate and what is left", () => {
  const progress = new CopyProgress();
  progress.plan(2, 30_000_000);
  expect(progress.text(0)).toBe("0 of 2 paths  0 B of 30.0 MB");
  progress.note(A, 0, 1000);
  progress.note(A, 4_000_000, 2000);
  progress.note(B, 2_000_000, 3000);
  expect(progress.text(3000)).toBe("0 of 2 paths  6.0 MB of 30.0 MB  3.0 MB/s  ETA 8 s");
  progress.note(A, 10_000_000, 3100);
  progress.end(A);
  expect(progress.text(4000)).toBe("1 of 2 paths  12.0 MB of 30.0 MB  4.0 MB/s  ETA 5 s");
  // A stall is seen: only the last seconds count.
  progress.note(B, 2_000_000, 20_000);
  expect(progress.text(21_000)).toBe("1 of 2 paths  12.0 MB of 30.0 MB");
});
