// setupFile - runs before each editor test file (vitest's setupFiles).
import { registerFailureReports } from "./onFailure.ts";

registerFailureReports();
