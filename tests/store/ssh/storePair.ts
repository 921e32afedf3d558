import { LocalStore, realise } from "../../../store/index.ts";
import { ByteSource } from "../../../store/protocol/byteSource.ts";
import { channelPair, type Channel } from "../../../store/ssh/channel.ts";
import { serveSession, type ServeSessionOptions } from "../../../store/ssh/serveSession.ts";
import type { StoreConfig } from "../../../store/types.ts";
import { TestStore, testSettings } from "../realiseFixture.ts";

/** Two stores of one directory's name, as on two machines, the second at the other end of a connection. */
export class StorePair implements AsyncDisposable {
  readonly here: TestStore;
  readonly there: LocalStore;
  readonly lines: string[] = [];
  /** What ended each session, where something did. */
  readonly failures: unknown[] = [];
  readonly #sessions: Promise<void>[] = [];

  private constructor(here: TestStore, there: LocalStore) {
    this.here = here;
    this.there = there;
  }

  static create(config: Partial<StoreConfig> = {}): StorePair {
    const here = TestStore.create(config);
    const settings = {
      ...testSettings(`${here.dir}/there`, config),
      storeDir: here.store.storeDir,
      realStoreDir: `${here.dir}/there/store`,
    };
    return new StorePair(here, LocalStore.open(settings));
  }

  /** Our end of a connection that the second store answers. */
  connect(options: Partial<ServeSessionOptions> = {}): Channel {
    const [ours, theirs] = channelPair();
    const session = serveSession(new ByteSource(theirs.input), theirs.output, {
      store: this.there,
      isWritable: true,
      realise,
      onLine: (line) => void this.lines.push(line),
      ...options,
    })
      .catch((error: unknown) => void this.failures.push(error))
      // As a process that ends.
      .then(() => theirs[Symbol.asyncDispose]());
    this.#sessions.push(session);
    return ours;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions);
    this.there[Symbol.dispose]();
    await this.here[Symbol.asyncDispose]();
  }
}
