import type { Derivation, StorePath } from "../types.ts";
import type { RealiseStore } from "./storePort.ts";

/** A store that answers some questions otherwise than it is. A proxy, not a copy: its methods need the store itself. */
export function overlayStore<Asked extends object, Store extends Asked>(
  store: Store,
  over: Partial<Asked>,
): Store {
  return new Proxy(store, {
    get(target, key) {
      if (Object.hasOwn(over, key)) return Reflect.get(over, key) as unknown;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

type WithDerivations = Pick<RealiseStore, "isValidPath" | "readDerivation">;

/** As if a store had a derivation, which a client sent: it need have no file. */
export function withDerivation(
  store: WithDerivations,
  drvPath: StorePath,
  derivation: Derivation,
): WithDerivations {
  return {
    isValidPath: (path) => path === drvPath || store.isValidPath(path),
    readDerivation: (path) => (path === drvPath ? derivation : store.readDerivation(path)),
  };
}
