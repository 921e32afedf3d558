import { DevshellError } from "../../../core/index.ts";
import { narChunks } from "../../format/nar.ts";
import type { OperationName } from "../../protocol/version.ts";
import { readPath } from "../../protocol/values.ts";
import type { Operation } from "../session.ts";

/** What takes content out of the store. */
export const sending: Readonly<Partial<Record<OperationName, Operation>>> = {
  async narFromPath(session) {
    const path = await session.read(readPath(session.wire));
    await session.work(() => {
      if (!session.store.isValidPath(path))
        throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
    });
    // A chunk is only valid until the next is asked for, and is sent when the client is ready.
    for (const chunk of narChunks(session.store.realPath(path), { signal: session.signal }))
      await session.send(Buffer.from(chunk));
  },
};
