import { readFileSync } from "node:fs";
import { join } from "node:path";
import { workspace, type Disposable, type DocumentFilter, type TextDocument } from "vscode";
import type { EnvironmentReport, Services } from "../model.ts";
import { isPackagesReport } from "./packagesShape.ts";
import { PackageIndex, packagesArguments } from "./packageIndex.ts";
import { parseSpecDocument, type SpecDocument } from "./specDocument.ts";
import { SPEC_FILE_NAMES, specFileOf } from "./specFile.ts";
import type { Schema } from "./specSchema.ts";

/** The documents in which a data spec may be. */
export const SPEC_SELECTOR: readonly DocumentFilter[] = SPEC_FILE_NAMES.map((name) => ({
  scheme: "file",
  pattern: `**/${name}`,
}));

/** A package's name or its beginning takes no longer, unless the index is being fetched. */
const QUERY_TIMEOUT_MS = 60_000;

/** What completion, hover and quick fixes know beside the document. */
export class SpecServices {
  readonly #services: Services;
  readonly #indexes = new Map<string, PackageIndex>();
  #schema: Schema | undefined;

  constructor(services: Services) {
    this.#services = services;
  }

  /** Of the published schema; empty where it cannot be read. */
  get schema(): Schema {
    this.#schema ??= this.#readSchema();
    return this.#schema;
  }

  read(document: TextDocument): SpecDocument | undefined {
    const file = specFileOf(document.fileName, document.languageId);
    return file === undefined ? undefined : parseSpecDocument(document.getText(), file);
  }

  /** Of the environment that is in use for a document. */
  report(document: TextDocument): EnvironmentReport | undefined {
    return this.#services.environments.of(document.uri)?.report;
  }

  callerNames(): string[] {
    return Object.keys(this.#services.baseEnvironment());
  }

  /** What the collection of a document's spec holds; undefined where nobody may be asked. */
  packages(document: TextDocument, spec: SpecDocument): PackageIndex | undefined {
    const folder = workspace.getWorkspaceFolder(document.uri);
    if (folder === undefined || !workspace.isTrusted) return undefined;
    const value = spec.data?.value;
    const fields = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
    const { collection, suite, args } = fields;
    const isRead = spec.data !== undefined;
    const key = JSON.stringify([document.uri.toString(), isRead, collection, suite, args]);
    let index = this.#indexes.get(key);
    if (index === undefined) {
      index = new PackageIndex(async (prefix, signal) => {
        const { cli, log } = this.#services;
        try {
          const { stdout, stderr } = await cli.run({
            folder,
            args: packagesArguments(spec, prefix),
            signal,
            timeoutMs: QUERY_TIMEOUT_MS,
          });
          const report: unknown = JSON.parse(stdout);
          if (!isPackagesReport(report)) return undefined;
          // no index is there yet, it says: that is not to have no packages
          return report.packages.length === 0 && stderr.trim() !== "" ? undefined : report;
        } catch (error) {
          if (!signal.aborted)
            log.debug(`packages: ${error instanceof Error ? error.message : String(error)}`);
          return undefined;
        }
      });
      this.#indexes.set(key, index);
    }
    return index;
  }

  /** A new environment may have another collection. */
  watch(): Disposable {
    return this.#services.environments.onDidChange(({ environment, previousReport }) => {
      if (environment.report !== previousReport) this.#indexes.clear();
    });
  }

  #readSchema(): Schema {
    const path = join(this.#services.context.extensionPath, "dist", "devshell.schema.json");
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Schema;
    } catch (error) {
      this.#services.log.error(
        `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return {};
    }
  }
}
