import { AttrSetOf } from "./attrs.ts";
import { Layout, Shape } from "./shape.ts";

/**
 * The same set; who asks whether it has some names is told of: who names one of them, or lists all.
 * @param watched those names, whether it has them or not
 */
export function watchNames<S>(
  set: AttrSetOf<S>,
  watched: ReadonlySet<string>,
  tell: () => void,
): AttrSetOf<S> {
  const { shape, values } = set.flatten();
  return new AttrSetOf<S>(new Shape(new WatchedLayout(shape.names, watched, tell), shape.positions), values);
}

/** Of one set only, so that every place that selects from it asks here first. */
class WatchedLayout extends Layout {
  readonly #at: ReadonlyMap<string, number>;
  readonly #watched: ReadonlySet<string>;
  readonly #tell: () => void;

  constructor(names: readonly string[], watched: ReadonlySet<string>, tell: () => void) {
    super(names);
    this.#at = new Map(names.map((name, at) => [name, at]));
    this.#watched = watched;
    this.#tell = tell;
    const get = (): readonly string[] => {
      tell();
      return names;
    };
    Object.defineProperty(this, "names", { get });
  }

  override find(name: string): number {
    if (this.#watched.has(name)) this.#tell();
    return this.#at.get(name) ?? -1;
  }
}
