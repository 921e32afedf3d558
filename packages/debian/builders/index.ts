import { availableParallelism } from "node:os";
import { DevshellError, WorkerPool } from "../../../core/index.ts";
import type { BuiltinBuilder, BuiltinBuilderContext } from "../../../store/index.ts";
import { findArchitecture, loaderPathIn, type DebianArchitecture } from "./architecture.ts";
import { linkPrograms } from "./profile/linkPrograms.ts";
import type { DebianJob, DebianNote } from "./debian.worker.ts";

export { findArchitecture } from "./architecture.ts";
export { needsShim } from "./shim/shimmedPrograms.ts";

/** In the derivations' `recipe`: raise it when what a builder makes of the same inputs changes. */
export const unpackRecipe = "1";
export const environmentRecipe = "2";

/**
 * Unpacks one binary package into its own store path.
 * @see README.md for the variables
 */
export const debianUnpack: BuiltinBuilder = async (context) => {
  const out = outputOf(context);
  const architecture = architectureOf(context);
  const loader = variable(context, "loader");
  await runJob(context, {
    kind: "unpack",
    request: {
      deb: variable(context, "src"),
      out,
      loader: loader === "self" ? loaderPathIn(out, architecture) : loader,
      architecture,
    },
  });
};

/** Joins packages into one tree with everything that Debian's maintainer scripts would have made. */
export const debianEnvironment: BuiltinBuilder = async (context) => {
  const optional = (name: string): string | undefined => context.derivation.env.get(name) || undefined;
  await runJob(context, {
    kind: "environment",
    request: {
      out: outputOf(context),
      packages: variable(context, "packages")
        .split(/\s+/)
        .filter((path) => path !== ""),
      loader: variable(context, "loader"),
      suite: optional("suite") ?? "",
      architecture: architectureOf(context),
      shim: optional("shim"),
      setup: optional("setup"),
      defaultBuilder: optional("defaultBuilder"),
      tmpDir: context.tmpDir,
    },
  });
};

/** Makes of a package what a profile can show: its programs, which run in the tree of its closure. */
export const debianProfile: BuiltinBuilder = (context) => {
  linkPrograms({
    package: variable(context, "package"),
    environment: variable(context, "environment"),
    out: outputOf(context),
  });
  return Promise.resolve();
};

/** Builder name, without `builtin:`, → builder. */
export const debianBuiltins: ReadonlyMap<string, BuiltinBuilder> = new Map([
  ["debian-unpack", debianUnpack],
  ["debian-environment", debianEnvironment],
  ["debian-profile", debianProfile],
]);

let pool: WorkerPool<DebianJob, null, DebianNote> | undefined;

/** Two workers keep two processors busy with two decompressors beside them; more than four only fill memory. */
async function runJob(context: BuiltinBuilderContext, job: DebianJob): Promise<void> {
  pool ??= new WorkerPool(
    "packages/debian/builders/debian.worker",
    Math.min(4, Math.max(2, availableParallelism())),
  );
  await pool.run(job, { signal: context.signal, onNote: context.log });
}

function outputOf(context: BuiltinBuilderContext): string {
  const out = context.outputs.get("out");
  if (out === undefined) throw invalid(context, 'it has no output "out"');
  return out;
}

function architectureOf(context: BuiltinBuilderContext): DebianArchitecture {
  const name = variable(context, "arch");
  const architecture = findArchitecture(name);
  if (architecture === undefined) throw invalid(context, `the architecture "${name}" is not known`);
  return architecture;
}

function variable(context: BuiltinBuilderContext, name: string): string {
  const value = context.derivation.env.get(name);
  if (value === undefined || value === "") throw invalid(context, `its variable "${name}" is missing`);
  return value;
}

function invalid(context: BuiltinBuilderContext, why: string): DevshellError {
  return new DevshellError("DEBIAN_DERIVATION_INVALID", `Cannot build "${context.drvPath}": ${why}`);
}
