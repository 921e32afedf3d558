import { readFileSync } from "node:fs";
import { DevshellError, type SourcePos } from "../../core/index.ts";
import { suggestNames } from "../suggest.ts";
import type { DevSpec } from "../types.ts";

/** Gives an error about a package that a data spec names the place where it is named. */
export function atSpec(thrown: unknown, spec: DevSpec, indexFailure: DevshellError | undefined): unknown {
  if (!(thrown instanceof DevshellError)) return thrown;
  const error =
    indexFailure === undefined || !/^(?:attribute|undefined variable) '.*' /.test(`${thrown.message} `)
      ? thrown
      : unknownForNow(thrown, indexFailure);
  if (spec.kind === "packages") return atPackage(error, spec.names, spec.collection);
  if (spec.kind !== "data") return error;
  const { data } = spec;
  for (const field of ["packages", "inputsFrom"] as const)
    for (const [n, { name, version }] of data[field].entries()) {
      const isUnknown = [`"${name}"`, `'${name}'`].some((quoted) => error.message.includes(quoted));
      const noVersion =
        version === undefined ? -1 : error.message.indexOf(`no version ${version} of ${name}:`);
      if (!isUnknown && noVersion < 0) continue;
      const message = isUnknown
        ? `Cannot find package "${name}" in the collection "${data.collection}"`
        : `Cannot find ${error.message.slice(noVersion + "no ".length)}`;
      return new DevshellError("SPEC_PACKAGE", message, {
        pos: atSource(data.positions.get(`${field}/${n}`), spec.path),
        hint: error.hint,
        suggestions: isUnknown ? nearest(name, error.suggestions) : [],
        cause: error,
      });
    }
  return error;
}

/** A package that the lock does not pin may well exist: nobody could be asked. */
function unknownForNow(error: DevshellError, indexFailure: DevshellError): DevshellError {
  const { code, message, pos, trace } = error;
  return new DevshellError(code, message, {
    pos,
    trace,
    hint: `only the packages of devshell.lock are known, since the archive's index cannot be had: ${indexFailure.message}; ${indexFailure.hint ?? "try again later"}`,
    cause: indexFailure,
  });
}

/** Names the package of `-p` that an evaluation did not find. */
function atPackage(error: DevshellError, names: readonly string[], collection: string): DevshellError {
  const unknown = names.find((name) => error.message === `attribute '${name}' missing`);
  if (unknown === undefined) return error;
  return new DevshellError(
    "SPEC_PACKAGE",
    `Cannot find package "${unknown}" in the collection "${collection}"`,
    { hint: error.hint, suggestions: nearest(unknown, error.suggestions), cause: error },
  );
}

/** Suggestions that swap two letters come first: the commonest slip. */
function nearest(name: string, suggestions: readonly string[]): readonly string[] {
  const near = suggestNames(name, suggestions);
  return near.length > 0 ? near : suggestions;
}

export function atSource(pos: SourcePos | undefined, path: string): SourcePos | undefined {
  return pos === undefined ? undefined : { ...pos, text: readSource(path) };
}

function readSource(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
