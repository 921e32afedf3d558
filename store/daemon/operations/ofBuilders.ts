import { DevshellError } from "../../../core/index.ts";
import { parseMethodAlgorithm } from "../../format/contentAddress.ts";
import { addDump } from "../../local/addDump.ts";
import { OPAQUE } from "../../protocol/calls.ts";
import { readPath, writePathInfo } from "../../protocol/values.ts";
import type { OperationName } from "../../protocol/version.ts";
import { readNumber, readString } from "../../protocol/wire.ts";
import type { Restriction } from "../../realise/builder/restriction.ts";
import type { Operation, Session } from "../session.ts";
import { framed } from "./adding.ts";

/** What only builders can ask for. */
export const ofBuilders: Readonly<Partial<Record<OperationName, Operation>>> = {
  async addToStoreScanning(session) {
    const name = await session.read(readString("a name"));
    const method = await session.read(readString("a method"));
    const info = await session.work(() =>
      framed(session, async (frames) => {
        const { method: ingestion, algorithm } = parseMethodAlgorithm(method.replace(/^fixed:/, ""));
        const added = await addDump(
          session.wholeStore,
          {
            name,
            method: ingestion,
            algorithm,
            references: [],
            candidates: restrictionOf(session).paths(),
            form: ingestion === "nar" || ingestion === "git" ? "nar" : "flat",
            signal: session.signal,
          },
          frames,
        );
        await session.reveal([added.path]);
        return added;
      }),
    );
    session.reply.string(info.path);
    writePathInfo(session.reply, info, session.wire);
  },

  async submitOutput(session) {
    const kind = await session.read(readNumber("what is submitted"));
    // Nobody knows how long something else is.
    if (kind !== OPAQUE)
      throw new DevshellError(
        "SUBMIT_UNSUPPORTED",
        "Attempted to submit what is not built: only store paths can be",
      );
    const path = await session.read(readPath(session.wire));
    const output = await session.read(readString("an output's name"));
    await session.work(() => {
      session.checkSeen([path]);
      restrictionOf(session).submit(output, path);
    });
    session.reply.number(1);
  },
};

function restrictionOf({ restriction }: Session): Restriction {
  if (restriction === undefined) throw new Error("the client is no builder");
  return restriction;
}
