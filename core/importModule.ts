import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Script, constants } from "node:vm";
import { isFromSnapshot } from "./worker.ts";

/**
 * Loads a module that is not the package's own. A process from a start-up snapshot has no `import()`: what is named in
 * the sources is bundled, and all else is loaded here.
 */
export async function importModule(url: URL): Promise<object> {
  if (!isFromSnapshot()) return (await import(url.href)) as object;
  try {
    return createRequire(url)(fileURLToPath(url)) as object;
  } catch (error) {
    // One that awaits something at its top; the way that takes it, too, has Node warn that it is an experiment.
    if (!(error instanceof Error && "code" in error && error.code === "ERR_REQUIRE_ASYNC_MODULE"))
      throw error;
  }
  const options = { importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER };
  const load = new Script("(url) => import(url)", options).runInThisContext() as (
    url: string,
  ) => Promise<object>;
  return await load(url.href);
}
