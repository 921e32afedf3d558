import { DevshellError, shownUrl } from "../../../core/index.ts";
import { sendContent, upload, type UploadContent, type UploadRequest } from "../../../io/index.ts";
import type { StoreAddress } from "../storeAddress.ts";

const MIB = 1 << 20;
const GIB = 2 ** 30;
/** Amazon's limits. */
const LEAST_PART_BYTES = 5 * MIB;
const MOST_PART_BYTES = 5 * GIB;
const MOST_PARTS = 10_000;
const DEFAULT_THRESHOLD_BYTES = 100 * MIB;

interface PartPlan {
  readonly isUsed: boolean;
  readonly partBytes: number;
  /** Larger files go in parts. */
  readonly thresholdBytes: number;
}

type FileContent = Extract<UploadContent, { readonly file: string }>;

/**
 * Puts objects into a bucket, large ones in parts where the address says `multipart-upload=true`
 * (`multipart-threshold`, `multipart-chunk-size`).
 * @throws {DevshellError} `CACHE_PARAMETER`
 */
export function s3Put(address: StoreAddress): (request: UploadRequest) => Promise<void> {
  const plan = readPlan(address);
  return async (request) => {
    const { content } = request;
    const sizeBytes = "bytes" in content ? content.bytes.length : content.sizeBytes;
    if ("file" in content && plan.isUsed && sizeBytes > plan.thresholdBytes)
      return await putInParts(request, content, plan.partBytes);
    if (sizeBytes > MOST_PART_BYTES)
      throw new DevshellError(
        "UPLOAD_REFUSED",
        `unable to upload to '${shownUrl(request.url)}': its ${sizeBytes} bytes are more than S3 takes at once`,
        { hint: "add `multipart-upload=true` to the address of the store" },
      );
    await upload(request);
  };
}

/** One part after the other: some servers want them in their order. Nothing is seen of it before the end. */
async function putInParts(
  request: UploadRequest,
  content: FileContent,
  wantedPartBytes: number,
): Promise<void> {
  const { url, onProgress, contentEncoding: _, ...common } = request;
  const { file, sizeBytes } = content;
  const partBytes = Math.max(wantedPartBytes, Math.ceil(sizeBytes / MOST_PARTS));
  const nothing = { bytes: new Uint8Array() };
  const begun = await sendContent({
    ...request,
    url: `${url}?uploads`,
    method: "POST",
    content: nothing,
    onProgress: undefined,
  });
  const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(begun.body)?.[1];
  if (uploadId === undefined)
    throw refused(url, "it does not say by which name it knows the upload", begun.body);
  const id = encodeURIComponent(textOfXml(uploadId));
  try {
    const etags: string[] = [];
    for (let offset = 0; offset < sizeBytes; offset += partBytes) {
      const part = { file, offset, sizeBytes: Math.min(partBytes, sizeBytes - offset) };
      const sent = await sendContent({
        ...common,
        url: `${url}?partNumber=${etags.length + 1}&uploadId=${id}`,
        method: "PUT",
        content: part,
        onProgress: onProgress && ((doneBytes) => onProgress(offset + doneBytes, sizeBytes)),
      });
      if (sent.etag === undefined) throw refused(url, `it gives part ${etags.length + 1} no ETag`, sent.body);
      etags.push(sent.etag);
    }
    const parts = etags.map(
      (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${xmlOfText(etag)}</ETag></Part>`,
    );
    const text = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    const ended = await sendContent({
      ...common,
      url: `${url}?uploadId=${id}`,
      method: "POST",
      contentType: "text/xml",
      content: { bytes: Buffer.from(text) },
    });
    // It begins its answer before it knows how this ends.
    if (ended.body.includes("<Error>")) throw refused(url, "it could not join the parts", ended.body);
  } catch (error) {
    // Parts that nobody joins cost money for ever. What went wrong first is told.
    const { signal: _signal, ...unstopped } = common;
    await sendContent({
      ...unstopped,
      url: `${url}?uploadId=${id}`,
      method: "DELETE",
      content: nothing,
      attempts: 1,
    }).catch(() => undefined);
    throw error;
  }
}

function refused(url: string, why: string, body: string): DevshellError {
  const said = /<Message>([^<]*)<\/Message>/.exec(body)?.[1];
  return new DevshellError("UPLOAD_REFUSED", `unable to upload to '${shownUrl(url)}': ${why}`, {
    hint: said === undefined ? "does the server know S3's multipart uploads?" : `it says: ${said}`,
  });
}

/** @throws {DevshellError} `CACHE_PARAMETER` */
function readPlan({ text, parameters }: StoreAddress): PartPlan {
  const invalid = (name: string, expected: string): DevshellError =>
    new DevshellError(
      "CACHE_PARAMETER",
      `Cannot open "${text}": "${name}" is "${parameters.get(name)}", expected ${expected}`,
    );
  const bytes = (name: string, usual: number): number => {
    const value = parameters.get(name);
    if (value === undefined) return usual;
    if (!/^\d{1,15}$/.test(value)) throw invalid(name, "a number of bytes");
    return Number(value);
  };
  const isUsed = parameters.get("multipart-upload") ?? "false";
  if (!/^(?:true|yes|1|false|no|0)$/.test(isUsed)) throw invalid("multipart-upload", '"true" or "false"');
  // `buffer-size` is its old name.
  const name = parameters.has("multipart-chunk-size") ? "multipart-chunk-size" : "buffer-size";
  const partBytes = bytes(name, LEAST_PART_BYTES);
  if (partBytes < LEAST_PART_BYTES || partBytes > MOST_PART_BYTES)
    throw invalid(name, "5 MiB to 5 GiB in bytes");
  return {
    isUsed: /^(?:true|yes|1)$/.test(isUsed),
    partBytes,
    thresholdBytes: bytes("multipart-threshold", DEFAULT_THRESHOLD_BYTES),
  };
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function xmlOfText(text: string): string {
  return text.replaceAll(/[&<>]/g, (character) => ENTITIES[character] ?? character);
}

function textOfXml(xml: string): string {
  return xml
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#34;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
