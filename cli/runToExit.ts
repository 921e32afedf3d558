import { printError } from "./printError.ts";

/** Runs a command to its end and exits with its status; failures are printed. */
export async function runToExit(
  argv: readonly string[],
  run: () => Promise<number> | number,
  options: { readonly isEventStream?: boolean } = {},
): Promise<never> {
  // A reader that has gone (`devshell … | head`) is no failure.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      process.exit(error.code === "EPIPE" ? 0 : 1);
    });
  const name = process.env["DEVSHELL_ARGV0"] ?? "";
  const isDropIn = name.startsWith("nix");
  let status: number;
  try {
    status = await run();
  } catch (error) {
    status = printError(error, {
      hasTrace: isDropIn ? await isTraceShown(argv) : argv.includes("--show-trace"),
      isJson: options.isEventStream === true,
      dropIn: isDropIn ? name : undefined,
    });
    // Nix tells kinds of failed builds apart by 100 and more, where a command of ours might end so itself.
    if (!isDropIn && status >= 100 && status < 105) status = 1;
  }
  await flush(process.stdout);
  process.exit(status);
}

/** Pipes are written asynchronously: what was printed must be out before the process ends. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}

/** As the command line says, or `show-trace` in nix.conf. */
async function isTraceShown(argv: readonly string[]): Promise<boolean> {
  const given = argv.findLast((word) => word === "--show-trace" || word === "--no-show-trace");
  if (given !== undefined) return given === "--show-trace";
  try {
    const { resolveStoreSettings } = await import("../store/index.ts");
    return resolveStoreSettings(process.env).config.raw.get("show-trace") === "true";
  } catch {
    return false; // what is wrong with the settings is what is being told
  }
}
