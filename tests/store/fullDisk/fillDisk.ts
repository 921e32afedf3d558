// Fills a small disk more and more, and works on a store there: each operation until it succeeds with what room there
// is. Runs where the disk is mounted: in a mount namespace of its own.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import {
  LocalStore,
  addGeneration,
  readGenerations,
  realise,
  type DerivedPath,
  type StorePath,
  type StoreSettings,
} from "../../../store/index.ts";
import { addDump } from "../../../store/local/addDump.ts";
import { shellDerivation } from "../daemon/daemonFixture.ts";
import { testSettings } from "../realiseFixture.ts";
import { DiskOfBytes, DiskOfFiles, type FillableDisk } from "./disk.ts";

export interface FillRequest {
  readonly disk: string;
  /** Beside the disk: sources, a cache. */
  readonly outside: string;
  /** By the cache in its directory, and on the web. */
  readonly offered: string;
  readonly offeredOnTheWeb: string;
  readonly kind: "bytes" | "files";
  /** How much more room there is from one try to the next. */
  readonly step: number;
}

export interface FillReport {
  readonly operation: string;
  /** How often there was not enough room. */
  readonly failures: number;
  /** With how much there was. */
  readonly room: number;
  readonly codes: readonly string[];
  readonly problems: readonly string[];
}

interface Operation {
  readonly name: string;
  /** Instead of the cache in its directory. */
  readonly substituter?: string;
  /** While there is room. */
  readonly prepare?: (store: LocalStore) => void;
  readonly run: (store: LocalStore) => Promise<unknown> | void;
  /** Whether it is done: before it is, nothing may say so. */
  readonly isDone: (store: LocalStore) => boolean;
  /** It frees room, or needs none: it succeeds however full the disk is. */
  readonly isAlwaysPossible?: boolean;
}

const MOST_TRIES = 400;
const CODES: ReadonlySet<string> = new Set(["STORE_NO_SPACE", "BUILD_FAILED", "FETCH_UNWRITABLE"]);

const server = createServer();
const request = JSON.parse(process.argv[2] ?? "") as FillRequest;
const settings: StoreSettings = testSettings(join(request.disk, "nix"), {
  substituters: [`file://${request.outside}/cache`],
  requireSignatures: false,
  keepDerivations: false,
  raw: new Map([["build-dir", join(request.disk, "builds")]]),
});
const profile = join(request.disk, "profile");
let big = "";
for (let line = 0; line < 3000; line++) big += `line ${line} of a file\n`;

const operations: readonly Operation[] = [
  (() => {
    let path: StorePath | undefined;
    return {
      name: "addText",
      run: (store) => {
        path = store.addText("text", big, []);
      },
      isDone: (store) => path !== undefined && store.isValidPath(path),
    };
  })(),
  {
    name: "addPath",
    run: (store) => void store.addPath(source(), { name: "tree", method: "nar" }),
    isDone: (store) =>
      store.isValidPath(store.addPath(source(), { name: "tree", method: "nar", isDryRun: true })),
  },
  {
    name: "addDump",
    run: async (store) => {
      const dump = {
        name: "flat",
        method: "flat",
        algorithm: "sha256",
        references: [],
        form: "flat",
      } as const;
      await addDump(store, dump, bytes(big));
    },
    isDone: (store) => store.allValidPaths().some((path) => path.endsWith("-flat")),
  },
  {
    name: "writeDerivations",
    run: (store) =>
      store.writeDerivations(
        Array.from({ length: 30 }, (_, index) => shellDerivation(store, `drv-${index}`, "true")),
      ),
    isDone: (store) => store.allValidPaths().filter((path) => path.endsWith(".drv")).length >= 30,
  },
  {
    name: "substitute",
    run: (store) => make(store, { kind: "opaque", path: request.offered as StorePath }),
    isDone: (store) => store.isValidPath(request.offered as StorePath),
  },
  {
    name: "download",
    substituter: await serveCache(join(request.outside, "cache")),
    run: (store) => make(store, { kind: "opaque", path: request.offeredOnTheWeb as StorePath }),
    isDone: (store) => store.isValidPath(request.offeredOnTheWeb as StorePath),
  },
  {
    name: "build",
    run: (store) => {
      const script = 'i=0; while [ $i -lt 3000 ]; do echo "line $i" || exit 1; i=$((i+1)); done > $out';
      return make(store, {
        kind: "built",
        drvPath: store.writeDerivation(shellDerivation(store, "built", script)),
        outputs: "*",
      });
    },
    isDone: (store) => store.allValidPaths().some((path) => path.endsWith("-built")),
  },
  {
    name: "profile",
    run: (store) => void addGeneration(store, profile, store.addText("generation", "content", [])),
    isDone: () => readGenerations(profile).current === 1,
  },
  {
    name: "optimise",
    prepare: (store) => {
      for (const name of ["twin-a", "twin-b"]) store.addPath(source(), { name, method: "nar" });
    },
    run: (store) => store.optimise(),
    // What there is no room for a link to stays as it is.
    isDone: () => true,
  },
  {
    name: "verify",
    run: async (store) => {
      const { problems } = await store.verify({ checkContents: true });
      if (problems.length > 0) throw new Error(problems.join("; "));
    },
    isDone: () => true,
    isAlwaysPossible: true,
  },
  {
    name: "collect",
    prepare: (store) => {
      for (let index = 0; index < 50; index++) store.addText(`garbage-${index}`, `${index} ${big}`, []);
    },
    run: (store) => store.collectGarbage({ action: "deleteDead" }),
    isDone: (store) => !store.allValidPaths().some((path) => path.includes("-garbage-")),
    isAlwaysPossible: true,
  },
];

const reports: FillReport[] = [];
mkdirSync(join(request.disk, "builds"), { recursive: true });
LocalStore.open(settings)[Symbol.dispose]();
const disk: FillableDisk =
  request.kind === "bytes" ? new DiskOfBytes(request.disk) : new DiskOfFiles(request.disk);
for (const operation of operations) reports.push(await tryUntilDone(operation));
process.stdout.write(JSON.stringify(reports));
server.close();

async function tryUntilDone(operation: Operation): Promise<FillReport> {
  const problems: string[] = [];
  const codes = new Set<string>();
  let failures = 0;
  let room = 0;
  {
    using store = LocalStore.open(settings);
    operation.prepare?.(store);
  }
  for (; failures < MOST_TRIES; room += request.step) {
    disk.leave(room);
    const error = await attempt(operation);
    disk.empty();
    problems.push(...(await inspect(operation, error === undefined)).map((what) => `room ${room}: ${what}`));
    if (error === undefined) break;
    failures++;
    problems.push(...complaints(operation, error).map((what) => `room ${room}: ${what}`));
    codes.add(error instanceof DevshellError ? error.code : "none");
    if (problems.length > 0) break;
  }
  return { operation: operation.name, failures, room, codes: [...codes], problems };
}

async function attempt(operation: Operation): Promise<unknown> {
  try {
    const { config } = settings;
    const substituters = operation.substituter === undefined ? config.substituters : [operation.substituter];
    using store = LocalStore.open({ ...settings, config: { ...config, substituters } });
    await operation.run(store);
    return undefined;
  } catch (error) {
    return error ?? new Error("something without a name was thrown");
  }
}

/** What, which file, what to do about it. */
function complaints({ name, isAlwaysPossible = false }: Operation, error: unknown): string[] {
  const shown = error instanceof Error ? `${error.stack}` : String(error);
  if (isAlwaysPossible) return [`${name} must succeed, but: ${shown}`];
  if (!(error instanceof DevshellError)) return [`no error for users: ${shown}`];
  if (!CODES.has(error.code)) return [`unexpected code: ${error.code}: ${error.message}`];
  const found: string[] = [];
  if (!/space/.test(error.message)) found.push(`it does not say that there is no room: ${error.message}`);
  if (!error.message.includes(request.disk)) found.push(`no file is named: ${error.message}`);
  if (error.hint === undefined) found.push(`no remedy: ${error.message}`);
  return found;
}

/** The store, with room again, as the next process finds it. */
async function inspect(operation: Operation, isDone: boolean): Promise<string[]> {
  using store = LocalStore.open(settings);
  const { problems, forgotten } = await store.verify({ checkContents: true });
  const scratch = readdirSync(settings.storeDir).filter((name) => name.startsWith("tmp-"));
  const builds = readdirSync(join(request.disk, "builds"));
  return [
    ...problems,
    ...forgotten.map((path) => `${path} was registered, but is not there`),
    ...[...scratch, ...builds].map((name) => `${name} was left`),
    ...(isDone && !operation.isDone(store) ? [`${operation.name} says that it is done, but it is not`] : []),
  ];
}

async function serveCache(directory: string): Promise<string> {
  server.on("request", ({ url = "/" }, response) => {
    const file = join(directory, url);
    if (existsSync(file)) response.end(readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function make(store: LocalStore, target: DerivedPath): Promise<void> {
  const { failures } = await realise(store, [target]);
  if (failures[0] !== undefined) throw failures[0];
}

function source(): string {
  const tree = join(request.outside, "tree");
  mkdirSync(join(tree, "deep"), { recursive: true });
  for (let file = 0; file < 5; file++)
    writeFileSync(join(tree, `deep/${file}`), `${file} ${big.slice(0, 9000)}`);
  return tree;
}

async function* bytes(text: string): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += 8192)
    yield await Promise.resolve(Buffer.from(text.slice(at, at + 8192)));
}
