// A daemon for one connection, over standard input and output.
import { resolveStoreSettings, serveConnection } from "../../../store/index.ts";

const [dir = "", cache = ""] = process.argv.slice(2);
const env = {
  HOME: dir,
  NIX_STORE_DIR: `${dir}/store`,
  NIX_STATE_DIR: `${dir}/state`,
  NIX_LOG_DIR: `${dir}/log`,
  NIX_CONF_DIR: `${dir}/conf`,
};
const options = { sandbox: "false", substituters: `file://${cache}`, "require-sigs": "false" };
const settings = resolveStoreSettings(env, { overrides: new Map(Object.entries(options)) });
await serveConnection(process.stdin, process.stdout, { settings, isTrusted: true });
