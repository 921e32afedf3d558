import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  LocalStore,
  deleteTree,
  resolveStoreSettings,
  type LocalStoreOptions,
  type StoreSettings,
} from "../../store/index.ts";

/** A directory that goes with the scope. */
export class TestDirectory implements Disposable {
  readonly path: string = realpathSync(mkdtempSync(join(tmpdir(), "devshell-test-")));

  settings(overrides: Record<string, string> = {}): StoreSettings {
    const env = {
      HOME: this.path,
      NIX_STORE_DIR: join(this.path, "store"),
      NIX_STATE_DIR: join(this.path, "state"),
      NIX_LOG_DIR: join(this.path, "log"),
      NIX_CONF_DIR: join(this.path, "conf"),
    };
    return resolveStoreSettings(env, { overrides: new Map(Object.entries(overrides)) });
  }

  open(options: LocalStoreOptions = {}): LocalStore {
    return LocalStore.open(this.settings(), options);
  }

  [Symbol.dispose](): void {
    deleteTree(this.path);
  }
}
