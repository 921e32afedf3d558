import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { DevshellError, formatHash, parseHash, textOfBytes, type ByteString } from "../../../core/index.ts";
import type { NarInfo } from "../../format/narInfo.ts";
import { jsonOfSignatures, parseSignatures } from "../../format/realisation.ts";
import {
  parseStorePath,
  parseStorePathBaseName,
  storePathBaseName,
  storePathHashPart,
  storePathName,
} from "../../format/storePath.ts";
import { makeDirectories } from "../../local/files.ts";
import type { Realisation, StoreSettings } from "../../types.ts";

/** The tables of Nix's own file of this name, which it shares with us. */
const FILE = "binary-cache-v8.sqlite";
const SCHEMA = `
create table if not exists BinaryCaches (
  id integer primary key autoincrement not null, url text unique not null, timestamp integer not null,
  storeDir text not null, wantMassQuery integer not null, priority integer not null
);
create table if not exists NARs (
  cache integer not null, hashPart text not null, namePart text, url text, compression text, fileHash text,
  fileSize integer, narHash text, narSize integer, refs text, deriver text, sigs text, ca text,
  timestamp integer not null, present integer not null, primary key (cache, hashPart),
  foreign key (cache) references BinaryCaches(id) on delete cascade
);
create table if not exists BuildTrace (
  cache integer not null, drvPath text not null, outputName text not null, outputPath text, sigs text,
  timestamp integer not null, primary key (cache, drvPath, outputName),
  foreign key (cache) references BinaryCaches(id) on delete cascade
);
create table if not exists LastPurge (dummy text primary key, value integer);
`;
const BUSY_TIMEOUT_MS = 2000;
/** Answers that are written in one transaction. */
const BATCH_SIZE = 256;
const PURGE_INTERVAL_S = 24 * 3600;
/** A short time to live, such as `--refresh` asks for, is no reason to forget for the next run. */
const LEAST_NEGATIVE_TTL_S = 3600;
const LEAST_POSITIVE_TTL_S = 30 * 24 * 3600;

/** What a cache says of itself. */
export interface KnownCache {
  readonly wantsMassQuery: boolean;
  readonly priority: number;
}

interface Ttls {
  readonly positive: number;
  readonly negative: number;
  readonly meta: number;
}

interface NarRow {
  readonly present: number;
  readonly namePart: string | null;
  readonly url: string | null;
  readonly compression: string | null;
  readonly fileHash: string | null;
  readonly fileSize: number | null;
  readonly narHash: string | null;
  readonly narSize: number | null;
  readonly refs: string | null;
  readonly deriver: string | null;
  readonly sigs: string | null;
  readonly ca: string | null;
}

interface Answer {
  readonly hashPart: string;
  readonly info: NarInfo | undefined;
}

/**
 * What one binary cache answered before, on disk: narinfos and that there was none. It may fail in any way without
 * harm; then all is asked again.
 */
export class NarInfoDiskCache implements Disposable {
  readonly #db: DatabaseSync;
  readonly #storeDir: string;
  readonly #url: string;
  readonly #ttls: Ttls;
  readonly #statements = new Map<string, StatementSync>();
  readonly #pending: Answer[] = [];
  #id: number | undefined;
  #isBroken = false;

  private constructor(db: DatabaseSync, url: string, settings: StoreSettings) {
    this.#db = db;
    this.#url = url;
    this.#storeDir = settings.storeDir;
    const ttl = (name: string, usual: number): number => {
      const text = settings.config.raw.get(name) ?? "";
      return /^\d{1,10}$/.test(text) ? Number(text) : usual;
    };
    this.#ttls = {
      positive: ttl("narinfo-cache-positive-ttl", LEAST_POSITIVE_TTL_S),
      negative: ttl("narinfo-cache-negative-ttl", LEAST_NEGATIVE_TTL_S),
      meta: ttl("narinfo-cache-meta-ttl", 7 * 24 * 3600),
    };
  }

  /**
   * @param url the cache's address without parameters
   * @returns `undefined` where no cache directory is known or it cannot be used
   */
  static open(settings: StoreSettings, url: string): NarInfoDiskCache | undefined {
    const { cacheDir } = settings;
    if (cacheDir === undefined) return undefined;
    const file: ByteString = `${cacheDir}/${FILE}`;
    try {
      makeDirectories(cacheDir);
      const db = new DatabaseSync(textOfBytes(file), {
        timeout: BUSY_TIMEOUT_MS,
        enableForeignKeyConstraints: true,
      });
      try {
        // A cache: what a power cut takes is asked again.
        db.exec("pragma synchronous = off; pragma main.journal_mode = truncate");
        db.exec(SCHEMA);
      } catch (error) {
        db.close();
        throw error;
      }
      const cache = new NarInfoDiskCache(db, url, settings);
      cache.#purge();
      return cache;
    } catch {
      return undefined;
    }
  }

  /** What the cache said of itself not long ago. */
  known(): KnownCache | undefined {
    return this.#try(() => {
      const row = this.#prepare(
        "select id, storeDir, wantMassQuery, priority from BinaryCaches where url = ? and timestamp > ?",
      ).get(this.#url, now() - this.#ttls.meta) as
        | { id: number; storeDir: string; wantMassQuery: number; priority: number }
        | undefined;
      if (row === undefined || row.storeDir !== this.#storeDir) return undefined;
      this.#id = row.id;
      return { wantsMassQuery: row.wantMassQuery !== 0, priority: row.priority };
    });
  }

  remember({ wantsMassQuery, priority }: KnownCache): void {
    this.#try(() => {
      const row = this.#prepare(
        "insert into BinaryCaches(url, timestamp, storeDir, wantMassQuery, priority) values (?1, ?2, ?3, ?4, ?5) " +
          "on conflict (url) do update set timestamp = ?2, storeDir = ?3, wantMassQuery = ?4, priority = ?5 returning id",
      ).get(this.#url, now(), this.#storeDir, wantsMassQuery ? 1 : 0, priority) as { id: number };
      this.#id = row.id;
    });
  }

  /** @returns "absent" where the cache was known not to have it, `undefined` where nothing is known */
  lookup(hashPart: string): NarInfo | "absent" | undefined {
    const id = this.#id;
    if (id === undefined) return undefined;
    return this.#try(() => {
      const row = this.#prepare(
        "select present, namePart, url, compression, fileHash, fileSize, narHash, narSize, refs, deriver, sigs, ca " +
          "from NARs where cache = ? and hashPart = ? and ((present = 0 and timestamp > ?) or (present = 1 and timestamp > ?))",
      ).get(id, hashPart, now() - this.#ttls.negative, now() - this.#ttls.positive) as NarRow | undefined;
      if (row === undefined) return undefined;
      return row.present === 0 ? "absent" : this.#infoOf(hashPart, row);
    });
  }

  /** @param info `undefined`: the cache lacks it */
  insert(hashPart: string, info: NarInfo | undefined): void {
    if (this.#id === undefined || this.#isBroken) return;
    this.#pending.push({ hashPart, info });
    if (this.#pending.length >= BATCH_SIZE) this.#flush();
  }

  /** As {@link lookup}: what the cache said that an output turned out to be. */
  lookupRealisation(key: Pick<Realisation, "drvPath" | "output">): Realisation | "absent" | undefined {
    const id = this.#id;
    if (id === undefined) return undefined;
    return this.#try(() => {
      const row = this.#prepare(
        "select outputPath, sigs from BuildTrace where cache = ? and drvPath = ? and outputName = ? and " +
          "((outputPath is null and timestamp > ?) or (outputPath is not null and timestamp > ?))",
      ).get(
        id,
        storePathBaseName(key.drvPath),
        key.output,
        now() - this.#ttls.negative,
        now() - this.#ttls.positive,
      ) as { outputPath: string | null; sigs: string | null } | undefined;
      if (row === undefined) return undefined;
      if (row.outputPath === null) return "absent";
      const signatures = parseSignatures(JSON.parse(row.sigs ?? "[]"));
      if (signatures === undefined) return undefined;
      return { ...key, outputPath: parseStorePathBaseName(this.#storeDir, row.outputPath), signatures };
    });
  }

  /** @param realisation `undefined`: the cache has none */
  insertRealisation(
    { drvPath, output }: Pick<Realisation, "drvPath" | "output">,
    realisation: Realisation | undefined,
  ): void {
    const id = this.#id;
    if (id === undefined) return;
    const [path, signatures] =
      realisation === undefined
        ? [null, null]
        : [
            storePathBaseName(realisation.outputPath),
            JSON.stringify(jsonOfSignatures(realisation.signatures)),
          ];
    this.#try(() =>
      this.#prepare(
        "insert or replace into BuildTrace(cache, drvPath, outputName, outputPath, sigs, timestamp) values (?, ?, ?, ?, ?, ?)",
      ).run(id, storePathBaseName(drvPath), output, path, signatures, now()),
    );
  }

  /** What turned out untrue. */
  forget(hashPart: string): void {
    const id = this.#id;
    if (id === undefined) return;
    this.#flush();
    this.#try(() => this.#prepare("delete from NARs where cache = ? and hashPart = ?").run(id, hashPart));
  }

  [Symbol.dispose](): void {
    this.#flush();
    this.#db.close();
  }

  #flush(): void {
    const answers = this.#pending.splice(0);
    if (answers.length === 0) return;
    this.#try(() => {
      this.#db.exec("begin immediate");
      try {
        for (const answer of answers) this.#write(answer);
        this.#db.exec("commit");
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("rollback");
        throw error;
      }
    });
  }

  #write({ hashPart, info }: Answer): void {
    const cache = this.#id ?? 0;
    if (info === undefined) {
      this.#prepare(
        "insert or replace into NARs(cache, hashPart, timestamp, present) values (?, ?, ?, 0)",
      ).run(cache, hashPart, now());
      return;
    }
    const { fileHash, deriver } = info;
    const values: SQLInputValue[] = [
      cache,
      hashPart,
      storePathName(info.path),
      info.url,
      info.compression,
      fileHash === undefined ? null : `sha256:${formatHash(fileHash, "nix32")}`,
      info.fileSizeBytes ?? null,
      `sha256:${formatHash(info.narHash, "nix32")}`,
      info.narSizeBytes,
      info.references.map(storePathBaseName).join(" "),
      deriver === undefined ? null : storePathBaseName(deriver),
      info.signatures.join(" "),
      info.contentAddress ?? "",
      now(),
    ];
    this.#prepare(
      "insert or replace into NARs(cache, hashPart, namePart, url, compression, fileHash, fileSize, narHash, narSize, " +
        "refs, deriver, sigs, ca, timestamp, present) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
    ).run(...values);
  }

  /** @throws where the row is not what it should be; then it is as if there were none */
  #infoOf(hashPart: string, row: NarRow): NarInfo {
    const path = parseStorePath(this.#storeDir, `${this.#storeDir}/${hashPart}-${row.namePart ?? ""}`);
    if (storePathHashPart(path) !== hashPart || row.narHash === null || !row.narSize || !row.url)
      throw new DevshellError("NARINFO_INVALID", `the disk cache holds no narinfo for "${path}"`);
    const baseNames = (row.refs ?? "").split(" ").filter((name) => name !== "");
    return {
      path,
      url: row.url,
      compression: row.compression || "bzip2",
      fileHash: row.fileHash ? parseHash(row.fileHash) : undefined,
      fileSizeBytes: row.fileSize || undefined,
      narHash: parseHash(row.narHash),
      narSizeBytes: row.narSize,
      references: baseNames.map((name) => parseStorePathBaseName(this.#storeDir, name)),
      deriver: row.deriver ? parseStorePathBaseName(this.#storeDir, row.deriver) : undefined,
      signatures: (row.sigs ?? "").split(" ").filter((signature) => signature !== ""),
      contentAddress: row.ca || undefined,
    };
  }

  #purge(): void {
    this.#try(() => {
      const last = this.#prepare("select value from LastPurge").get() as { value: number } | undefined;
      if (last !== undefined && last.value >= now() - PURGE_INTERVAL_S) return;
      this.#prepare(
        "delete from NARs where (present = 0 and timestamp < ?) or (present = 1 and timestamp < ?)",
      ).run(
        now() - Math.max(this.#ttls.negative, LEAST_NEGATIVE_TTL_S),
        now() - Math.max(this.#ttls.positive, LEAST_POSITIVE_TTL_S),
      );
      this.#prepare(
        "delete from BuildTrace where (outputPath is null and timestamp < ?) or (outputPath is not null and timestamp < ?)",
      ).run(
        now() - Math.max(this.#ttls.negative, LEAST_NEGATIVE_TTL_S),
        now() - Math.max(this.#ttls.positive, LEAST_POSITIVE_TTL_S),
      );
      this.#prepare("insert or replace into LastPurge(dummy, value) values ('', ?)").run(now());
    });
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  /** A damaged or busy file ends its use, a damaged row only itself. */
  #try<T>(work: () => T): T | undefined {
    if (this.#isBroken) return undefined;
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DevshellError)) this.#isBroken = true;
      return undefined;
    }
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
