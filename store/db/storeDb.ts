import { DevshellError, formatHash, parseHash } from "../../core/index.ts";
import { HASH_PART_LENGTH, compareBytes, storePathBaseName, storePathHashPart } from "../format/storePath.ts";
import type { OutputName, Realisation, StorePath, ValidPathInfo } from "../types.ts";
import { checkAcyclic } from "./checkAcyclic.ts";
import { Connection } from "./connection.ts";
import { BUILD_TRACE_MIGRATION, CREATE_MIGRATIONS, CREATE_SCHEMA, MIGRATIONS } from "./schema.ts";

export interface StoreDbOptions {
  readonly mode: "create" | "open" | "readOnly";
  /** `fsync-metadata`: whether commits reach the disk. */
  readonly isSynced: boolean;
}

interface PathRow {
  id: number;
  path: string;
  hash: string;
  registrationTime: number;
  deriver: string | null;
  narSize: number | null;
  ultimate: number | null;
  sigs: string | null;
  ca: string | null;
}

const COLUMNS = "id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca";

/** Nix's database of valid paths; several processes, real Nix among them, use it at once. */
export class StoreDb implements Disposable {
  readonly #storeDir: string;
  readonly #isSynced: boolean;
  readonly #db: Connection;
  #hasBuildTrace = false;

  constructor(file: string, storeDir: string, { mode, isSynced }: StoreDbOptions) {
    this.#storeDir = storeDir;
    this.#isSynced = isSynced;
    this.#db = new Connection(file, mode === "readOnly");
    if (mode === "readOnly") return;
    try {
      this.#prepareToWrite(mode, isSynced);
    } catch (error) {
      this.#db[Symbol.dispose]();
      throw error;
    }
  }

  /** Runs work as one transaction: all of it happens or nothing. Nested calls join the outer one. */
  transaction<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  /** As {@link transaction}; when it returns, a power cut does not undo it (unless `fsync-metadata` is off). */
  durableTransaction<T>(work: () => T): T {
    if (!this.#isSynced) return this.transaction(work);
    if (this.#db.isInTransaction) throw new Error("A durable transaction cannot be part of another");
    this.#db.exec("pragma synchronous = full");
    try {
      return this.transaction(work);
    } finally {
      this.#db.exec("pragma synchronous = normal");
    }
  }

  /** Brings to the disk what was committed: a commit alone is only safe from kills. */
  sync(): void {
    if (this.#isSynced) this.#db.exec("pragma wal_checkpoint(passive)");
  }

  isValidPath(path: StorePath): boolean {
    return this.#db.get("select 1 from ValidPaths where path = ?", path) !== undefined;
  }

  pathId(path: StorePath): number | undefined {
    return (this.#db.get("select id from ValidPaths where path = ?", path) as { id: number } | undefined)?.id;
  }

  queryPathInfo(path: StorePath): ValidPathInfo | undefined {
    const row = this.#db.get(`select ${COLUMNS} from ValidPaths where path = ?`, path) as PathRow | undefined;
    return row === undefined ? undefined : this.#infoOf(row);
  }

  /** Sorted by byte; a path may refer to itself. */
  queryReferences(path: StorePath): StorePath[] {
    return this.#paths(
      "select r.path from Refs join ValidPaths r on reference = r.id where referrer = (select id from ValidPaths where path = ?)",
      path,
    );
  }

  queryReferrers(path: StorePath): StorePath[] {
    return this.#paths(
      "select r.path from Refs join ValidPaths r on referrer = r.id where reference = (select id from ValidPaths where path = ?)",
      path,
    );
  }

  /** All that valid paths need (or, reversed, all that needs them), themselves included, in one question. */
  queryClosure(paths: readonly StorePath[], isReversed: boolean): StorePath[] {
    const [from, to] = isReversed ? ["reference", "referrer"] : ["referrer", "reference"];
    // "Cross" keeps the order of the joins: each step looks up an index.
    const rows = this.#db.all(
      `with recursive Closure(id) as (
         select v.id from json_each(?) cross join ValidPaths v on v.path = value
         union select ${to} from Closure cross join Refs on ${from} = Closure.id
       ) select path from Closure cross join ValidPaths v on v.id = Closure.id`,
      JSON.stringify(paths),
    ) as { path: StorePath }[];
    return rows.map(({ path }) => path);
  }

  /** Which of these paths each of them refers to, itself left out, sorted by byte. */
  referencesAmong(paths: readonly StorePath[]): Map<StorePath, StorePath[]> {
    const named = JSON.stringify(paths);
    const selected = "json_each(?) cross join ValidPaths v on v.path = value";
    const rows = this.#db.all(`select v.id, v.path from ${selected}`, named) as {
      id: number;
      path: StorePath;
    }[];
    const byId = new Map(rows.map(({ id, path }) => [id, path]));
    const references = new Map(rows.map(({ path }) => [path, [] as StorePath[]]));
    const edges = this.#db.all(
      `select referrer, reference from ${selected} cross join Refs on referrer = v.id`,
      named,
    ) as { referrer: number; reference: number }[];
    for (const { referrer, reference } of edges) {
      const to = byId.get(reference);
      if (to !== undefined && referrer !== reference) references.get(byId.get(referrer)!)?.push(to);
    }
    for (const list of references.values()) list.sort();
    return references;
  }

  /** Whether some valid path has this name after its digest. */
  hasName(name: string): boolean {
    const nameAt = this.#storeDir.length + 1 + HASH_PART_LENGTH + 1;
    return (
      this.#db.get("select 1 from ValidPaths where substr(path, ?) = ? limit 1", nameAt + 1, name) !==
      undefined
    );
  }

  /** The valid derivations that have this path as an output. */
  queryValidDerivers(path: StorePath): StorePath[] {
    return this.#paths(
      "select v.path from DerivationOutputs d join ValidPaths v on d.drv = v.id where d.path = ?",
      path,
    );
  }

  /** The outputs of a valid derivation whose paths were known when it was registered. */
  queryDerivationOutputs(drvPath: StorePath): Map<OutputName, StorePath> {
    const rows = this.#db.all(
      "select d.id, d.path from DerivationOutputs d join ValidPaths v on d.drv = v.id where v.path = ? order by d.id",
      drvPath,
    ) as { id: string; path: StorePath }[];
    return new Map(rows.map(({ id, path }) => [id, path]));
  }

  queryPathFromHashPart(hashPart: string): StorePath | undefined {
    if (hashPart.length !== HASH_PART_LENGTH) return undefined;
    const prefix = `${this.#storeDir}/${hashPart}`;
    const row = this.#db.get("select path from ValidPaths where path >= ? limit 1", prefix) as
      | { path: StorePath }
      | undefined;
    return row !== undefined && row.path.startsWith(prefix) && storePathHashPart(row.path) === hashPart
      ? row.path
      : undefined;
  }

  allValidPaths(): StorePath[] {
    return this.#paths("select path from ValidPaths");
  }

  /** How large each valid path's NAR is. */
  allSizes(): Map<StorePath, number> {
    const rows = this.#db.all("select path, narSize from ValidPaths") as {
      path: StorePath;
      narSize: number | null;
    }[];
    return new Map(rows.map(({ path, narSize }) => [path, narSize ?? 0]));
  }

  /** Every reference between valid paths, as row numbers: what a garbage collector walks. */
  allReferences(): {
    readonly paths: Map<number, StorePath>;
    readonly edges: readonly { referrer: number; reference: number }[];
  } {
    const rows = this.#db.all("select id, path from ValidPaths") as { id: number; path: StorePath }[];
    const edges = this.#db.all("select referrer, reference from Refs") as {
      referrer: number;
      reference: number;
    }[];
    return { paths: new Map(rows.map(({ id, path }) => [id, path])), edges };
  }

  /** Every (derivation, output path) pair and every (path, deriver) pair among valid paths. */
  allDerivers(): {
    readonly outputs: readonly { drv: StorePath; path: StorePath }[];
    readonly derivers: readonly { path: StorePath; deriver: StorePath }[];
  } {
    return {
      outputs: this.#db.all(
        "select v.path as drv, d.path from DerivationOutputs d join ValidPaths v on d.drv = v.id",
      ) as { drv: StorePath; path: StorePath }[],
      derivers: this.#db.all("select path, deriver from ValidPaths where deriver is not null") as {
        path: StorePath;
        deriver: StorePath;
      }[],
    };
  }

  /**
   * Registers paths with their references, in one transaction; what is registered already is updated.
   * @param outputsOf the outputs to note for a derivation that is new
   * @throws {DevshellError} `STORE_REFERENCE_INVALID` when a reference is not valid, `STORE_REFERENCE_CYCLE`
   */
  registerValidPaths(
    infos: readonly ValidPathInfo[],
    outputsOf: (drvPath: StorePath) => Iterable<readonly [OutputName, StorePath]>,
  ): void {
    this.transaction(() => {
      const ids = new Map<StorePath, number>();
      for (const info of infos) {
        const existing = this.pathId(info.path);
        if (existing === undefined) ids.set(info.path, this.#insert(info, outputsOf));
        else {
          ids.set(info.path, existing);
          this.updatePathInfo(info);
        }
      }
      for (const info of infos) {
        const referrer = ids.get(info.path) ?? 0;
        for (const reference of info.references) {
          const id = ids.get(reference) ?? this.pathId(reference);
          if (id === undefined)
            throw new DevshellError(
              "STORE_REFERENCE_INVALID",
              `Cannot register "${info.path}": it refers to "${reference}", which is not valid`,
            );
          ids.set(reference, id);
          this.#db.run("insert or replace into Refs (referrer, reference) values (?, ?)", referrer, id);
        }
      }
      if (infos.length > 1) checkAcyclic(infos);
    });
  }

  updatePathInfo(info: ValidPathInfo): void {
    this.#db.run(
      "update ValidPaths set narSize = ?, hash = ?, ultimate = ?, sigs = ?, ca = ? where path = ?",
      info.narSizeBytes === 0 ? null : info.narSizeBytes,
      `sha256:${formatHash(info.narHash, "base16")}`,
      info.isUltimate ? 1 : null,
      info.signatures.length === 0 ? null : info.signatures.join(" "),
      info.contentAddress ?? null,
      info.path,
    );
  }

  /**
   * Forgets a path.
   * @throws {DevshellError} `STORE_PATH_IN_USE` when others refer to it
   */
  invalidatePath(path: StorePath): void {
    try {
      this.#db.run("delete from ValidPaths where path = ?", path);
    } catch (error) {
      const referrers = this.queryReferrers(path).filter((referrer) => referrer !== path);
      if (referrers.length === 0) throw error;
      throw new DevshellError(
        "STORE_PATH_IN_USE",
        `Cannot delete "${path}": it is in use by ${referrers
          .slice(0, 5)
          .map((referrer) => `"${referrer}"`)
          .join(", ")}`,
      );
    }
  }

  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined {
    if (!this.#buildTraceExists()) return undefined;
    const row = this.#db.get(
      "select outputPath, signatures from BuildTraceV3 where drvPath = ? and outputName = ?",
      storePathBaseName(drvPath),
      output,
    ) as { outputPath: StorePath; signatures: string | null } | undefined;
    if (row === undefined) return undefined;
    return {
      drvPath,
      output,
      outputPath: row.outputPath,
      signatures: row.signatures?.split(" ").filter((text) => text !== "") ?? [],
    };
  }

  /** Derivations that realisations are known of, those registered after the one of a number. */
  realisedDerivations(after: number): { id: number; baseName: string }[] {
    if (!this.#buildTraceExists()) return [];
    return this.#db.all(
      "select id, drvPath as baseName from BuildTraceV3 where id > ? order by id",
      after,
    ) as {
      id: number;
      baseName: string;
    }[];
  }

  /** @throws {DevshellError} `STORE_REALISATION_CONFLICT` when another path is known for the output */
  registerRealisation({ drvPath, output, outputPath, signatures }: Realisation): void {
    if (!this.#buildTraceExists()) {
      this.transaction(() => this.#applyMigration(BUILD_TRACE_MIGRATION));
      // Only now: nothing that is undone shall be believed.
      this.#hasBuildTrace = true;
    }
    this.transaction(() => {
      const known = this.queryRealisation(drvPath, output);
      if (known === undefined) {
        this.#db.run(
          "insert into BuildTraceV3 (drvPath, outputName, outputPath, signatures) values (?, ?, ?, ?)",
          storePathBaseName(drvPath),
          output,
          outputPath,
          signatures.join(" "),
        );
        return;
      }
      if (known.outputPath !== outputPath)
        throw new DevshellError(
          "STORE_REALISATION_CONFLICT",
          `Cannot register output "${output}" of "${drvPath}" as "${outputPath}": "${known.outputPath}" is known for it`,
        );
      const all = [...new Set([...known.signatures, ...signatures])].sort(compareBytes);
      this.#db.run(
        "update BuildTraceV3 set signatures = ? where drvPath = ? and outputName = ?",
        all.join(" "),
        storePathBaseName(drvPath),
        output,
      );
    });
  }

  deleteRealisation(drvPath: StorePath, output: OutputName): void {
    if (this.#buildTraceExists())
      this.#db.run(
        "delete from BuildTraceV3 where drvPath = ? and outputName = ?",
        storePathBaseName(drvPath),
        output,
      );
  }

  vacuum(): void {
    this.#db.exec("vacuum");
  }

  [Symbol.dispose](): void {
    this.#db[Symbol.dispose]();
  }

  #prepareToWrite(mode: "create" | "open", isSynced: boolean): void {
    this.#db.exec(`pragma synchronous = ${isSynced ? "normal" : "off"}`);
    const journal = this.#db.get("pragma main.journal_mode") as { journal_mode: string };
    if (journal.journal_mode !== "wal") this.#db.exec("pragma main.journal_mode = wal");
    // As Nix: closing truncates the log, and instantiating a system is one sync.
    this.#db.exec("pragma main.journal_size_limit = 1099511627776; pragma wal_autocheckpoint = 40000");
    if (mode === "create") this.#db.exec(CREATE_SCHEMA);
    this.#migrate();
  }

  #insert(
    info: ValidPathInfo,
    outputsOf: (drvPath: StorePath) => Iterable<readonly [OutputName, StorePath]>,
  ): number {
    const { lastInsertRowid } = this.#db.run(
      "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) values (?, ?, ?, ?, ?, ?, ?, ?)",
      info.path,
      `sha256:${formatHash(info.narHash, "base16")}`,
      info.registrationTime === 0 ? Math.floor(Date.now() / 1000) : info.registrationTime,
      info.deriver ?? null,
      info.narSizeBytes === 0 ? null : info.narSizeBytes,
      info.isUltimate ? 1 : null,
      info.signatures.length === 0 ? null : info.signatures.join(" "),
      info.contentAddress ?? null,
    );
    const id = Number(lastInsertRowid);
    if (info.path.endsWith(".drv"))
      for (const [output, path] of outputsOf(info.path))
        this.#db.run(
          "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)",
          id,
          output,
          path,
        );
    return id;
  }

  #infoOf(row: PathRow): ValidPathInfo {
    return {
      path: row.path as StorePath,
      deriver: row.deriver === null || row.deriver === "" ? undefined : (row.deriver as StorePath),
      narHash: parseHash(row.hash),
      narSizeBytes: row.narSize ?? 0,
      references: this.#paths(
        "select path from Refs join ValidPaths on reference = id where referrer = ?",
        row.id,
      ),
      registrationTime: row.registrationTime,
      isUltimate: row.ultimate === 1,
      signatures: row.sigs?.split(" ").filter((text) => text !== "") ?? [],
      contentAddress: row.ca === null || row.ca === "" ? undefined : row.ca,
    };
  }

  #migrate(): void {
    const has =
      this.#db.get("select 1 from sqlite_master where type = 'table' and name = 'SchemaMigrations'") !==
      undefined;
    const done = new Set(
      has
        ? (this.#db.all("select migration from SchemaMigrations") as { migration: string }[]).map(
            ({ migration }) => migration,
          )
        : [],
    );
    if (has && MIGRATIONS.every(([name]) => done.has(name))) return;
    this.transaction(() => {
      this.#db.exec(CREATE_MIGRATIONS);
      for (const migration of MIGRATIONS) if (!done.has(migration[0])) this.#applyMigration(migration);
    });
  }

  #applyMigration([name, statements]: readonly [string, string]): void {
    this.#db.exec(statements);
    this.#db.run("insert or ignore into SchemaMigrations values (?)", name);
  }

  #buildTraceExists(): boolean {
    // Another process may make it.
    this.#hasBuildTrace ||=
      this.#db.get("select 1 from sqlite_master where type = 'table' and name = 'BuildTraceV3'") !==
      undefined;
    return this.#hasBuildTrace;
  }

  #paths(sql: string, ...values: (string | number)[]): StorePath[] {
    return (this.#db.all(sql, ...values) as { path: StorePath }[]).map(({ path }) => path).sort();
  }
}
