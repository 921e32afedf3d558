import type { StatementSync } from "node:sqlite";
import { DevshellError } from "../../core/index.ts";
import { databaseError } from "./databaseError.ts";
import { openDatabase, openReadOnly, type OpenedDatabase } from "./openDatabase.ts";

/** Who reads a file that is written all the time gives up. */
const MOST_REOPENINGS = 20;

type Value = string | number;

/** A SQLite file that is open: statements are compiled once, failures told as what they mean to a user. */
export class Connection implements Disposable {
  readonly #file: string;
  readonly #statements = new Map<string, StatementSync>();
  #opened: OpenedDatabase;
  #depth = 0;

  /** @throws {DevshellError} `STORE_DB_…`, `STORE_PERMISSION` */
  constructor(file: string, isReadOnly: boolean) {
    this.#file = file;
    this.#opened = this.#guard(() => (isReadOnly ? openReadOnly(file) : openDatabase(file)));
  }

  get isInTransaction(): boolean {
    return this.#depth > 0;
  }

  /** Runs work as one transaction: all of it happens or nothing. Nested calls join the outer one. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    // Immediate: a read lock that becomes a write lock can fail for good when another process wrote between.
    this.exec("begin immediate");
    this.#depth++;
    try {
      const result = work();
      this.exec("commit");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("rollback");
      throw error;
    } finally {
      this.#depth--;
    }
  }

  get(sql: string, ...values: readonly Value[]): unknown {
    return this.#ask(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: readonly Value[]): unknown[] {
    return this.#ask(() => this.#statement(sql).all(...values));
  }

  run(
    sql: string,
    ...values: readonly (Value | null)[]
  ): { lastInsertRowid: number | bigint; changes: number | bigint } {
    return this.#guard(() => this.#statement(sql).run(...values));
  }

  /** One or more statements that answer nothing. */
  exec(sql: string): void {
    this.#guard(() => this.#db.exec(sql));
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  get #db(): OpenedDatabase["db"] {
    return this.#opened.db;
  }

  /** A question; anew where the database is one that others may write unseen, and they did. */
  #ask<T>(question: () => T): T {
    return this.#guard(() => {
      if (this.#opened.isCurrent === undefined) return question();
      for (let left = MOST_REOPENINGS; ; left--) {
        try {
          if (this.#isCurrent()) {
            const answer = question();
            if (this.#isCurrent()) return answer;
          }
        } catch (error) {
          // What is read while it is written may be anything.
          if (left === 0 || this.#isCurrent()) throw error;
        }
        if (left === 0)
          throw new DevshellError(
            "STORE_DB_BUSY",
            `Cannot read the store's database "${this.#file}": others write it all the time`,
          );
        this[Symbol.dispose]();
        this.#opened = openReadOnly(this.#file);
      }
    });
  }

  #isCurrent(): boolean {
    return this.#opened.isCurrent?.() !== false;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw databaseError(this.#file, error);
    }
  }
}
