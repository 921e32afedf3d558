import { setTimeout as sleep } from "node:timers/promises";
import type { StorePath, StoreSettings } from "../types.ts";
import { storePathBaseName } from "../format/storePath.ts";
import { MachineSlots, type MachineSlot } from "./machineSlots.ts";
import { fits, parseMachines, type Machine, type MachineNeeds } from "./machines.ts";
import { openMachine } from "./openMachine.ts";
import type { BuildingStore, Realise } from "./types.ts";

export interface MachineRequest extends MachineNeeds {
  readonly drvPath: StorePath;
  /** Whether it can be built here at all. */
  readonly isPossibleHere: boolean;
  /** Whether it could be begun here at this moment. */
  readonly hasRoomHere: () => boolean;
  readonly signal: AbortSignal;
}

/** A machine that waits for what we send it. */
export interface ClaimedMachine extends AsyncDisposable {
  readonly url: string;
  readonly store: BuildingStore;
  /** Whoever shall be told what builders print there. */
  onLine: (line: string) => void;
  readonly lockUploads: (signal: AbortSignal) => Promise<Disposable>;
}

/** Between two looks whether a machine has become free. */
const POLL_MS = 500;

/** The machines of the option `builders`, and which of them build what. */
export class RemoteBuilders {
  readonly #settings: StoreSettings;
  readonly #realise: Realise;
  readonly #warn: (problem: string) => void;
  readonly #slots: MachineSlots;
  #machines: readonly Machine[];

  /** @throws {DevshellError} `MACHINE_INVALID` */
  constructor(settings: StoreSettings, realise: Realise, warn: (problem: string) => void) {
    const { raw, system } = settings.config;
    this.#settings = settings;
    this.#realise = realise;
    this.#warn = warn;
    this.#slots = new MachineSlots(settings.stateDir);
    const machines = raw.get("builders") ?? `@${settings.confDir}/machines`;
    // An empty one means that nothing is built elsewhere.
    this.#machines = raw.get("build-hook")?.trim() === "" ? [] : parseMachines(machines, system);
  }

  get isEmpty(): boolean {
    return this.#machines.length === 0;
  }

  /**
   * Waits for a place on a machine that fits, unless it can be built here at once.
   * @returns `undefined` where it is to be built here, or nowhere
   */
  async claim(request: MachineRequest): Promise<ClaimedMachine | undefined> {
    for (;;) {
      const offer = await this.offer(request);
      if (offer !== "later") return offer;
      await sleep(POLL_MS, undefined, { signal: request.signal });
    }
  }

  /** As {@link claim}, without waiting: `later` where all machines that fit are busy, and there is no room here. */
  async offer(request: MachineRequest): Promise<ClaimedMachine | "later" | undefined> {
    const { signal } = request;
    for (;;) {
      signal.throwIfAborted();
      const fitting = this.#machines.filter((machine) => machine.maxJobs > 0 && fits(machine, request));
      if (fitting.length === 0) {
        if (!request.isPossibleHere && !this.isEmpty) this.#warn(this.#nobodyFits(request));
        return undefined;
      }
      const slot = await this.#slots.claim(fitting, signal);
      if (slot === undefined) return request.isPossibleHere && request.hasRoomHere() ? undefined : "later";
      const claimed = await this.#connect(slot, signal);
      if (claimed !== undefined) return claimed;
    }
  }

  /** @returns `undefined` for a machine that cannot be reached: it is not asked again */
  async #connect(slot: MachineSlot, signal: AbortSignal): Promise<ClaimedMachine | undefined> {
    const { machine } = slot;
    const listener = { onLine: (_line: string): void => undefined };
    let store: BuildingStore;
    try {
      store = await openMachine(this.#settings, machine, {
        realise: this.#realise,
        onLine: (line) => listener.onLine(line),
        signal,
      });
    } catch (error) {
      slot[Symbol.dispose]();
      signal.throwIfAborted();
      this.#machines = this.#machines.filter((other) => other !== machine);
      this.#warn(
        `cannot build on '${machine.url}': ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    }
    return Object.assign(listener, {
      url: machine.url,
      store,
      lockUploads: (signal: AbortSignal) => this.#slots.lockUploads(machine.url, signal),
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        slot[Symbol.dispose]();
      },
    });
  }

  #nobodyFits({ drvPath, system, features }: MachineRequest): string {
    const row = (machine: Machine): string =>
      `([${[...machine.systems].sort().join(", ")}], ${machine.maxJobs}, [${[...machine.supportedFeatures].sort().join(", ")}], [${[...machine.mandatoryFeatures].sort().join(", ")}])`;
    return [
      "Failed to find a machine for remote build!",
      `derivation: ${storePathBaseName(drvPath)}`,
      `required (system, features): (${system}, [${[...features].sort().join(", ")}])`,
      `${this.#machines.length} available machines:`,
      "(systems, maxjobs, supportedFeatures, mandatoryFeatures)",
      ...this.#machines.map(row),
    ].join("\n");
  }
}
