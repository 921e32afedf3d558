import { DevshellError } from "../../core/index.ts";
import { createStoreContext, discoverSpec, listAttributes, type DevSpec } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { PROTOCOL, describeSpec, type AttributesReport } from "../protocol/index.ts";
import { requestOf, settingsOf } from "../request.ts";

const MAX_ATTRIBUTES = 2000;

/** `devshell attributes`: what `-A` can name in the spec. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const [prefix = ""] = words;
  const request = requestOf([], flags);
  using context = createStoreContext({ settings: settingsOf(flags), isReadOnly: true });
  const spec = await discoverSpec(request, context.tracker).catch((error: unknown): DevSpec | undefined => {
    const isAbsent = error instanceof DevshellError && error.code === "SPEC_NOT_FOUND";
    if (!isAbsent || (request.files ?? []).length > 0) throw error;
    return undefined;
  });
  const { attributes, isTruncated } =
    spec === undefined
      ? { attributes: [], isTruncated: false }
      : listAttributes(context, spec, request, { prefix, limit: MAX_ATTRIBUTES });
  const report: AttributesReport = {
    protocol: PROTOCOL,
    directory: request.directory,
    ...(spec !== undefined && { spec: describeSpec(spec) }),
    attributes: [...attributes].sort((a, b) => (a.name < b.name ? -1 : 1)),
    isTruncated,
  };
  if (flags.has("json")) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    for (const { name, kind, description } of report.attributes)
      process.stdout.write(
        `${name}${kind === "set" ? "." : ""}${description === undefined ? "" : `  ${description}`}\n`,
      );
    if (isTruncated) process.stdout.write("…\n");
  }
  return 0;
}
