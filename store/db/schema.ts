/** The number in the file `schema` beside the database. */
export const SCHEMA_VERSION = 10;

/** Tables of schema version 10, statement for statement: other programs compare what `sqlite_master` holds. */
export const CREATE_SCHEMA = `
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null, -- base16 representation
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies "false"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
);

create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);

create index if not exists IndexReference on Refs(reference);

-- Paths can refer to themselves, causing a tuple (N, N) in the Refs
-- table.  This causes a deletion of the corresponding row in
-- ValidPaths to cause a foreign key constraint violation (due to \`on
-- delete restrict' on the \`reference' column).  Therefore, explicitly
-- get rid of self-references.
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;

create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually "out"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);

create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
`;

export const CREATE_MIGRATIONS =
  "create table if not exists SchemaMigrations (migration text primary key not null);";

/** Changes since version 10, by the names under which `SchemaMigrations` lists them. */
export const MIGRATIONS: readonly (readonly [name: string, statements: string])[] = [
  ["20260309-drop-redundant-indexreferrer", "drop index if exists IndexReferrer"],
];

/** Which outputs content-addressed derivations turned out to have; made when the first is registered. */
export const BUILD_TRACE_MIGRATION: readonly [name: string, statements: string] = [
  "20251017-ca-derivations",
  `
create table if not exists BuildTraceV3 (
    id integer primary key autoincrement not null,
    drvPath text not null,
    outputName text not null, -- symbolic output id, usually "out"
    outputPath text not null,
    signatures text -- space-separated list
);

create index if not exists IndexBuildTraceV3 on BuildTraceV3(drvPath, outputName);
`,
];
