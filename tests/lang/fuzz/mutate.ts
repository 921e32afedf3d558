import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { createEvaluator, printExpr } from "../../../lang/index.ts";
import { TestHost } from "../support/testHost.ts";
import { damage } from "./generateProgram.ts";
import type { Random } from "./random.ts";

const MAX_SOURCE = 30_000;

/** Flips bytes, cuts off, repeats, or joins with another text. */
export function mutate(random: Random, text: string, others: readonly string[]): string {
  let result = text;
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(result.length + 1);
    switch (random.below(6)) {
      case 0:
        result = result.slice(0, at) + String.fromCharCode(random.below(256)) + result.slice(at + 1);
        break;
      case 1:
        result = random.chance(0.5) ? result.slice(0, at) : result.slice(at);
        break;
      case 2: {
        const other = random.pick(others);
        const from = random.below(other.length + 1);
        result = result.slice(0, at) + other.slice(from, from + random.below(500)) + result.slice(at);
        break;
      }
      case 3: {
        const part = result.slice(at, at + 1 + random.below(20));
        result = result.slice(0, at) + part.repeat(1 + random.below(50)) + result.slice(at);
        break;
      }
      case 4:
        result = result.slice(0, at) + result.slice(at + random.below(100));
        break;
      default:
        result = damage(random, result);
    }
  }
  return result;
}

/**
 * Parses a text, and prints what came of it.
 * @returns whether it parses
 * @throws {Error} any failure that is no error of the text
 */
export function survives(text: string): boolean {
  try {
    printExpr(createEvaluator(new TestHost()).parse(text, "/base", { kind: "string", text }));
    return true;
  } catch (error) {
    if (error instanceof DevshellError) return false;
    throw error;
  }
}

/** Texts of `.nix` files below a directory, as bytes; the largest are left out. */
export function nixSources(directory: string, limit: number): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".nix"))
    .toSorted();
  const step = Math.max(1, Math.floor(files.length / limit));
  return files
    .filter((_, index) => index % step === 0)
    .map((file) => readFileSync(join(directory, file), "latin1"))
    .filter((text) => text.length < MAX_SOURCE);
}
