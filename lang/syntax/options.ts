import type { ByteString } from "../../core/index.ts";
import type { Pos } from "../value/position.ts";
import type { Expr } from "./ast.ts";

export interface ParseOptions {
  /** What relative paths are relative to. */
  readonly baseDir: ByteString;
  /** What `~/` stands for; `undefined` where home paths are not allowed (pure evaluation). */
  readonly homeDir: ByteString | undefined;
  readonly allowsPipes?: boolean;
  /** Told of what a `lint-…` setting may mind; may throw. */
  readonly lint?: ((rule: LintRule, message: string, pos: Pos) => void) | undefined;
  /** Told of what is allowed and will not stay so. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Told where definitions and comments stand. */
  readonly layout?: SourceLayout | undefined;
  /** Gets the doc comments, by the place of the function or attribute that each is of. */
  readonly docComments?: Map<Pos, string> | undefined;
}

export interface SourceLayout {
  /** The value of what may become a definition begins. @returns what `end` is told then */
  begin(from: Pos): number;
  /** It is one. @param pos where its name begins */
  end(at: number, pos: Pos, to: Pos, value: Expr): void;
  /** Comments and blanks between two tokens. */
  blank(from: Pos, to: Pos): void;
}

export type LintRule = "lint-absolute-path-literals" | "lint-short-path-literals" | "lint-url-literals";
