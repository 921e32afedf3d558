import { DevshellError } from "../../../core/index.ts";
import { readClientSettings } from "../../protocol/clientSettings.ts";
import type { OperationName } from "../../protocol/version.ts";
import { readGcAction, readPaths } from "../../protocol/values.ts";
import { readFlag, readLarge, readNumber } from "../../protocol/wire.ts";
import { realise } from "../../realise/realise.ts";
import type { StorePath } from "../../types.ts";
import { clientConfig } from "../clientConfig.ts";
import type { Operation } from "../session.ts";

const CENSORED = "{censored}";

/** The store's upkeep, and what a client wants to hold for its connection. */
export const upkeep: Readonly<Partial<Record<OperationName, Operation>>> = {
  async setOptions(session) {
    const options = await session.read(readClientSettings(session.wire.version));
    await session.work(() => {
      session.log.verbosity = options.verbosity;
      // Builds for a builder are made as its own was.
      if (session.restriction !== undefined) return;
      const warn = (text: string): void => session.log.say("warning", `warning: ${text}`);
      session.useConfig(
        clientConfig(session.settings.config, options, { isTrusted: session.isTrusted, warn }),
      );
    });
  },

  async findRoots(session) {
    const roots = await session.work(() => [...session.store.findRoots()]);
    const links = roots.flatMap(([path, names]) =>
      session.isTrusted
        ? [...names].map((name) => [name, path] as const)
        : [...new Set([...names].map(censored))].map((name) => [name, path] as const),
    );
    session.reply.number(links.length);
    for (const [link, path] of links) session.reply.string(link).string(path);
  },

  async collectGarbage(session) {
    const action = await session.read(readGcAction());
    const paths = await session.read(readPaths(session.wire));
    const ignoreLiveness = await session.read(readFlag());
    const maxFreedBytes = await session.read(readLarge());
    for (let obsolete = 0; obsolete < 3; obsolete++) await session.read(readNumber());
    const result = await session.work(async () => {
      if (ignoreLiveness)
        throw new DevshellError("DAEMON_UNTRUSTED", "you are not allowed to ignore liveness");
      if (action === "deleteDead" && paths.length > 0)
        throw new DevshellError(
          "PROTOCOL_FEATURE",
          "Garbage collecting specific paths requested but it is not supported by the negotiated protocol",
        );
      const { keepDerivations, keepOutputs } = session.settings.config;
      if (action === "deleteDead") {
        session.log.say("info", "finding garbage collector roots...");
        session.log.say("info", "deleting garbage...");
      }
      return await session.store.collectGarbage({
        action,
        ...(action === "deleteSpecific" ? { paths } : {}),
        ...(maxFreedBytes < Number.MAX_SAFE_INTEGER ? { maxFreedBytes } : {}),
        keepDerivations,
        keepOutputs,
        onDelete: (path) => session.log.say("info", `deleting '${path}'`),
        signal: session.signal,
      });
    });
    session.reply.strings(result.paths).number(result.freedBytes).number(0);
  },

  async syncWithGc(session) {
    await session.work(() => undefined);
    session.reply.number(1);
  },

  async optimiseStore(session) {
    await session.work(async () => {
      const { linkedFiles, savedBytes } = await session.store.optimise({ signal: session.signal });
      const mebibytes = (savedBytes / 1024 ** 2).toFixed(1);
      session.log.say("info", `${mebibytes} MiB freed by hard-linking ${linkedFiles} files`);
    });
    session.reply.number(1);
  },

  async verifyStore(session) {
    const checkContents = await session.read(readFlag());
    const isRepairing = await session.read(readFlag());
    const hasProblems = await session.work(async () => {
      if (isRepairing) session.requireTrust("you are not privileged to repair paths");
      const repair = async (path: StorePath): Promise<boolean> => {
        const report = await realise(session.realiseStore(), [{ kind: "opaque", path }], {
          mode: "repair",
          onEvent: session.log.events(),
          signal: session.signal,
        });
        return report.failures.length === 0;
      };
      const { problems } = await session.store.verify({
        checkContents,
        ...(isRepairing ? { repair } : {}),
        signal: session.signal,
      });
      for (const problem of problems) session.log.say("error", problem);
      return problems.length > 0;
    });
    session.reply.flag(hasProblems);
  },
};

/** What other users' processes have open is theirs to know. */
function censored(name: string): string {
  return name.startsWith("/proc/") || name.startsWith("{") ? CENSORED : name;
}
