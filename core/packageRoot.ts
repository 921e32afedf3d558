import { fileURLToPath } from "node:url";

/**
 * The package's own directory, without a trailing slash, for its data files (expressions, keys, scripts). It holds
 * for sources (`core/`) and for the bundle (`dist/`) alike, since both lie one level below it.
 */
export const packageRoot: string = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
