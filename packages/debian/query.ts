import { DevshellError } from "../../core/index.ts";

/**
 * What the expressions may ask (`__debian (toJSON { op = …; … })`). They are the only callers; the checks keep
 * values that a user passes through them, such as suite names, from becoming paths.
 */
export type Query =
  /** Debian's names for a system, and the suite to use where none is named. */
  | { readonly op: "platform"; readonly system: string }
  /** All names as one JSON object with `null` values; `source`: source packages and binary packages. */
  | {
      readonly op: "names";
      readonly kind: "binary" | "source";
      readonly suite: string;
      readonly sourceSuite: string;
      readonly system: string;
    }
  /** The candidate of one binary package. */
  | { readonly op: "package"; readonly suite: string; readonly system: string; readonly name: string }
  /** Its description and homepage, which the lock does not hold. */
  | { readonly op: "describe"; readonly suite: string; readonly system: string; readonly name: string }
  | ({ readonly op: "resolve"; readonly suite: string; readonly system: string } & ResolveQuery)
  /** A source package, by its own name or by that of a binary package of `binarySuite`. */
  | {
      readonly op: "source";
      readonly suite: string;
      readonly binarySuite: string;
      readonly system: string;
      readonly name: string;
    };

export interface ResolveQuery {
  /** Names or relations, e.g. `python3 (>= 3.11)`. */
  readonly packages: readonly string[];
  /** With the suite's Essential packages. */
  readonly essential: boolean;
  /** With a C library's headers wherever a C compiler is among the packages. */
  readonly completesCompilers: boolean;
  /** With the Build-Depends of a source package. */
  readonly source?: SourceQuery | undefined;
}

export interface SourceQuery {
  readonly suite: string;
  readonly name: string;
  /** Build profiles, e.g. `nocheck`. */
  readonly profiles: readonly string[];
  /** With Build-Depends-Indep. */
  readonly indep: boolean;
}

/** @throws {DevshellError} `DEBIAN_QUERY_INVALID`, `DEBIAN_SUITE_INVALID` */
export function parseQuery(text: string): Query {
  const query = JSON.parse(text) as Record<string, unknown>;
  const system = asString(query, "system");
  switch (query["op"]) {
    case "platform":
      return { op: "platform", system };
    case "names":
      return {
        op: "names",
        system,
        kind: query["kind"] === "source" ? "source" : "binary",
        suite: asSuite(query, "suite"),
        sourceSuite: asSuite(query, "sourceSuite"),
      };
    case "package":
    case "describe":
      return { op: query["op"], system, suite: asSuite(query, "suite"), name: asString(query, "name") };
    case "resolve":
      return {
        op: "resolve",
        system,
        suite: asSuite(query, "suite"),
        packages: asStrings(query, "packages"),
        essential: query["essential"] === true,
        completesCompilers: query["completesCompilers"] === true,
        ...(query["source"] !== undefined && { source: parseSourceQuery(query["source"]) }),
      };
    case "source":
      return {
        op: "source",
        system,
        suite: asSuite(query, "suite"),
        binarySuite: asSuite(query, "binarySuite"),
        name: asString(query, "name"),
      };
    default:
      throw invalid(`unknown op "${String(query["op"])}"`);
  }
}

function parseSourceQuery(value: unknown): SourceQuery {
  if (typeof value !== "object" || value === null) throw invalid('"source" is no set');
  const source = value as Record<string, unknown>;
  return {
    suite: asSuite(source, "suite"),
    name: asString(source, "name"),
    profiles: asStrings(source, "profiles"),
    indep: source["indep"] === true,
  };
}

function asSuite(query: Record<string, unknown>, field: string): string {
  const suite = asString(query, field);
  if (!/^[a-z][a-z0-9-]{0,60}$/.test(suite))
    throw new DevshellError("DEBIAN_SUITE_INVALID", `Cannot use suite "${suite}": it is no name of a suite`, {
      hint: "suites are called bookworm, trixie, sid, …",
    });
  return suite;
}

function asString(query: Record<string, unknown>, field: string): string {
  const value = query[field];
  if (typeof value !== "string") throw invalid(`"${field}" is no string`);
  return value;
}

function asStrings(query: Record<string, unknown>, field: string): readonly string[] {
  const value = query[field];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw invalid(`"${field}" is no list of strings`);
  return value;
}

function invalid(why: string): DevshellError {
  return new DevshellError("DEBIAN_QUERY_INVALID", `Cannot answer the collection's question: ${why}`);
}
