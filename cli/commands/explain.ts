import { DevshellError, textOfBytes } from "../../core/index.ts";
import { suggestNames } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";

/** `devshell explain VAR`: which package, hook or spec line set a variable. */
export async function run(invocation: Invocation): Promise<number> {
  const [name = ""] = invocation.words;
  const { environment } = await openEnvironment(invocation, []);
  const variable = environment.variables.get(name);
  const isUnset = environment.unset.includes(name);
  const origin = environment.origins.get(name);
  if (variable === undefined && !isUnset)
    throw new DevshellError(
      "CLI_UNKNOWN_VARIABLE",
      `Cannot explain "${name}": the environment does not set it`,
      {
        suggestions: suggestNames(name, environment.variables.keys()),
      },
    );
  if (invocation.flags.has("json")) {
    process.stdout.write(`${JSON.stringify({ name, isUnset, kind: variable?.kind, ...origin }, null, 2)}\n`);
    return 0;
  }
  const by = origin === undefined ? "set-up" : ORIGIN[origin.by];
  const detail = origin?.detail === undefined ? "" : `: ${origin.detail}`;
  const at = origin?.pos === undefined ? "" : ` (${describePos(origin.pos)})`;
  process.stdout.write(`${name} is ${isUnset ? "unset" : "set"} by ${by}${detail}${at}\n`);
  if (variable !== undefined && (variable.kind === "exported" || variable.kind === "var")) {
    if (environment.appended.includes(name)) {
      process.stdout.write("its elements, before the caller's own:\n");
      for (const element of textOfBytes(variable.value).split(":")) process.stdout.write(`  ${element}\n`);
    } else process.stdout.write(`  ${name}=${textOfBytes(variable.value)}\n`);
    if (variable.kind === "var") process.stdout.write("  (a variable of the shell, not exported)\n");
  }
  return 0;
}

const ORIGIN = {
  derivation: "an attribute of the derivation",
  setup: "the set-up of stdenv",
  spec: "the spec",
  devshell: "devshell itself",
  searchPath: "the search path of a package",
} as const;

function describePos(pos: {
  readonly origin: { readonly kind: string; readonly path?: string };
  readonly line: number;
}): string {
  return `${pos.origin.path ?? "the given text"}:${pos.line}`;
}
