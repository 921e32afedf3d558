import { DevshellError, type ByteString } from "../../../core/index.ts";
import type { MadeDerivation } from "../../format/makeDerivation.ts";
import { narChunks, type NarFilter } from "../../format/nar.ts";
import { NarReader } from "../../format/narReader.ts";
import { textObject } from "../../format/textObject.ts";
import { fileChunks } from "../../local/contentHash.ts";
import { MAX_DERIVATION_BYTES } from "../../local/derivationText.ts";
import * as calls from "../../protocol/calls.ts";
import { WireWriter } from "../../protocol/wire.ts";
import type { StorePath } from "../../types.ts";
import type { BlockingClient } from "./blockingClient.ts";

/** A `.drv` file's text by its NAR, where the store is elsewhere. @throws {DevshellError} `STORE_READ_FAILED` */
export function receiveText(client: BlockingClient, path: StorePath): ByteString {
  const parts: Buffer[] = [];
  let size = 0;
  const refuse = (): never => {
    throw new DevshellError("STORE_READ_FAILED", `Cannot read "${path}": it is no file of a derivation`);
  };
  const reader = new NarReader({
    directory: refuse,
    directoryEnd: refuse,
    symlink: refuse,
    file: (_, sizeBytes) => void (sizeBytes > MAX_DERIVATION_BYTES && refuse()),
    data: (bytes, start, end) => {
      size += end - start;
      parts.push(Buffer.from(bytes.subarray(start, end)));
    },
    fileEnd: () => undefined,
  });
  for (const chunk of client.receiveNar(calls.narFromPath(path))) reader.push(chunk);
  return Buffer.concat(parts, size).toString("latin1");
}

/** A text whose path follows from content and references. @returns the path that the daemon gave it */
export function sendText(
  client: BlockingClient,
  name: string,
  contents: ByteString,
  references: readonly StorePath[],
): StorePath {
  if (client.wire.version.minor < calls.ANY_METHOD_SINCE)
    return client.run(calls.addTextToStore(client.wire, name, contents, references));
  const request = { name, method: "text", algorithm: "sha256", references, isRepair: false } as const;
  return client.runFramed(calls.addToStore(client.wire, request), [Buffer.from(contents, "latin1")]).path;
}

/** A file or tree. @throws {DevshellError} `STORE_DAEMON_UNSUPPORTED` */
export function sendFiles(
  client: BlockingClient,
  request: calls.AddRequest,
  path: ByteString,
  { filter, url }: { readonly filter: NarFilter | undefined; readonly url: string },
): StorePath {
  if (client.wire.version.minor >= calls.ANY_METHOD_SINCE)
    return client.runFramed(
      calls.addToStore(client.wire, request),
      request.method === "nar" ? narChunks(path, { filter }) : fileChunks(path),
    ).path;
  if (request.references.length > 0 || request.isRepair)
    throw new DevshellError(
      "STORE_DAEMON_UNSUPPORTED",
      `Cannot add '${request.name}' to the store '${url}': its daemon is too old`,
    );
  return client.runPlain(calls.addToStoreOldStyle(client.wire, request), narChunks(path, { filter }));
}

/** Many derivations in one message, inputs before users. */
export function sendDerivations(
  client: BlockingClient,
  storeDir: string,
  batch: readonly MadeDerivation[],
): void {
  client.runFramed(calls.addMultipleToStore(), batchFrames(storeDir, batch));
}

function* batchFrames(storeDir: string, batch: readonly MadeDerivation[]): Generator<Buffer> {
  const writer = new WireWriter();
  yield writer.number(batch.length).take();
  for (const { drvPath, contents, references } of batch) {
    const { nar, info } = textObject(drvPath, Buffer.from(contents, "latin1"), references);
    calls.describeInBatch(writer, storeDir, info);
    yield writer.take();
    yield nar;
  }
}
