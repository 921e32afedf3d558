import { serveWorker } from "../../../core/index.ts";
import { buildEnvironment, type EnvironmentRequest } from "./environment/buildEnvironment.ts";
import { unpackDeb, type UnpackRequest } from "./unpack/unpackDeb.ts";

export type DebianJob =
  | { readonly kind: "unpack"; readonly request: UnpackRequest }
  | { readonly kind: "environment"; readonly request: EnvironmentRequest };

/** Lines for the build's log. */
export type DebianNote = string;

serveWorker<DebianJob, null, DebianNote>(async (job, note) => {
  switch (job.kind) {
    case "unpack": {
      const report = await unpackDeb(job.request);
      for (const warning of report.warnings) note(warning);
      return null;
    }
    case "environment":
      buildEnvironment(job.request, note);
      return null;
  }
});
