import { posix } from "node:path";
import { DevshellError } from "../../../../core/index.ts";
import type { StoreContext } from "../../../../env/index.ts";
import { makeDerivation, throwFailure, type Derivation, type StorePath } from "../../../../store/index.ts";
import { DUMP_SCRIPT } from "./dumpScript.ts";

/**
 * The environment of a derivation's build: built as a derivation of the same inputs and variables, of which the
 * builder runs the setup and writes down what that leaves.
 * @returns the file with it, in the store
 * @throws {DevshellError} `ENV_BUILDER`, what building throws
 */
export async function buildEnvironment(context: StoreContext, drvPath: StorePath): Promise<StorePath> {
  const { store } = context;
  const derivation = store.readDerivation(drvPath);
  if (posix.basename(derivation.builder) !== "bash")
    throw new DevshellError(
      "ENV_BUILDER",
      "'nix develop' only works on derivations that use 'bash' as their builder",
    );
  const made = makeDerivation(
    environmentRequest(derivation, store.addText("get-env.sh", DUMP_SCRIPT, [])),
    store.hasher,
    (path) => store.closureOf(path),
  );
  const envPath = store.writeDerivation(made);
  const report = await context.tryRealise([{ kind: "built", drvPath: envPath, outputs: "*" }]);
  throwFailure(report);
  for (const path of store.queryDerivationOutputs(envPath).values())
    if (path !== undefined && store.pathInfo(path).narSizeBytes > EMPTY_FILE_NAR_BYTES) return path;
  throw new DevshellError("ENV_SETUP_FAILED", "get-env.sh failed to produce an environment");
}

/** The NAR of an empty file that is not executable. */
const EMPTY_FILE_NAR_BYTES = 112;

const OUTPUT_CHECKS = [
  "allowedReferences",
  "allowedRequisites",
  "disallowedReferences",
  "disallowedRequisites",
];

function environmentRequest(derivation: Derivation, script: StorePath): Parameters<typeof makeDerivation>[0] {
  if (derivation.dynamicInputs !== undefined && derivation.dynamicInputs.size > 0)
    throw new DevshellError(
      "CLI_NOT_BUILT",
      `Cannot make the environment of "${derivation.name}": inputs that are outputs of outputs are not built yet`,
    );
  const name = `${derivation.name}-env`;
  const env = new Map(derivation.env);
  for (const output of derivation.outputs.keys()) env.delete(output);
  const structured = env.get("__json");
  if (structured === undefined) for (const check of OUTPUT_CHECKS) env.delete(check);
  else env.set("__json", withoutChecks(structured));
  env.set("name", name);
  const inputs = [...derivation.inputDrvs].flatMap(([path, outputs]) =>
    outputs.map((output) => `!${output}!${path}`),
  );
  return {
    name,
    system: derivation.system,
    builder: derivation.builder,
    args: [script],
    env,
    outputs: [...derivation.outputs.keys()],
    kind: kindOf(derivation),
    context: new Set([...derivation.inputSrcs, script, ...inputs]),
  };
}

/** A fixed output's hash is not that of its environment. */
function kindOf(derivation: Derivation): Parameters<typeof makeDerivation>[0]["kind"] {
  const [output] = derivation.outputs.values();
  if (output?.kind === "contentAddressed" || output?.kind === "impure")
    return { kind: output.kind, algorithm: output.algorithm, method: output.method };
  return { kind: "inputAddressed" };
}

/** Numbers may be too large for JavaScript: only what has the field is written anew. */
function withoutChecks(json: string): string {
  const attributes = JSON.parse(json) as Record<string, unknown>;
  if (!Object.hasOwn(attributes, "outputChecks")) return json;
  delete attributes["outputChecks"];
  return JSON.stringify(attributes);
}
