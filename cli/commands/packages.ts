import { isAbsolute, resolve } from "node:path";
import { DevshellError } from "../../core/index.ts";
import {
  collectionOf,
  createStoreContext,
  discoverSpec,
  listAttributes,
  type DevSpec,
  type EnvironmentRequest,
  type StoreContext,
} from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { PROTOCOL, type PackagesReport } from "../protocol/index.ts";
import { requestOf, settingsOf } from "../request.ts";

const MAX_PACKAGES = 200;
/** What specs mean that name no collection. */
const DEFAULT_COLLECTION = "debian";

/** `devshell packages PREFIX`: packages that a spec, or one of another collection, can name. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const [prefix = ""] = words;
  const request = requestOf([], flags);
  using context = createStoreContext({ settings: settingsOf(flags), isReadOnly: true });
  const spec = await specOf(context, request);
  const ofSpec = spec === undefined ? undefined : collectionOf(spec);
  const collection = flags.value("collection") ?? ofSpec ?? DEFAULT_COLLECTION;
  const found =
    collection === "debian"
      ? debianPackages(context, spec, prefix)
      : collectionPackages(context, spec, request, collection, prefix);
  const report: PackagesReport = { protocol: PROTOCOL, collection, ...found };
  if (flags.has("json")) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else
    for (const { name, versions, summary } of report.packages)
      process.stdout.write(`${[name, versions.join(" "), summary ?? ""].join("  ").trimEnd()}\n`);
  return 0;
}

/** Undefined where there is none, or while it is being written and cannot be read. */
async function specOf(context: StoreContext, request: EnvironmentRequest): Promise<DevSpec | undefined> {
  try {
    return await discoverSpec(request, context.tracker);
  } catch (error) {
    if (error instanceof DevshellError && (request.files ?? []).length === 0) return undefined;
    throw error;
  }
}

function debianPackages(
  context: StoreContext,
  spec: DevSpec | undefined,
  prefix: string,
): Omit<PackagesReport, "protocol" | "collection"> {
  const lockDirectory = spec?.kind === "data" || spec?.kind === "file" ? spec.root : undefined;
  const suite = spec?.kind === "data" ? spec.data.suite : undefined;
  const query = { prefix, limit: MAX_PACKAGES };
  const found = context.collection(lockDirectory).search(query, suite, context.settings.config.system);
  if (found === undefined)
    process.stderr.write(
      "devshell: no index of <debian> is cached yet; entering an environment of it fetches one\n",
    );
  return found ?? { packages: [], isTruncated: false };
}

function collectionPackages(
  context: StoreContext,
  spec: DevSpec | undefined,
  request: EnvironmentRequest,
  collection: string,
  prefix: string,
): Omit<PackagesReport, "protocol" | "collection"> {
  const root = spec?.root ?? request.directory;
  const isPath = isAbsolute(collection) || collection.startsWith(".");
  const whole: DevSpec = isPath
    ? { kind: "file", path: resolve(root, collection), root, isFound: false }
    : { kind: "searchPath", entry: collection, root };
  const { attributes, isTruncated } = listAttributes(context, whole, request, {
    prefix,
    limit: MAX_PACKAGES,
  });
  return { packages: attributes.map(({ name }) => ({ name, versions: [] })), isTruncated };
}
