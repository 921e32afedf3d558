import { DevshellError, textOfBytes } from "../../../../core/index.ts";
import {
  AttrSet,
  Lambda,
  addFrame,
  coerceToPath,
  force,
  forceAttrs,
  forceString,
  isDerivation,
  quoteAttrName,
  showPos,
  showType,
  type Evaluator,
  type Pos,
  type Slot,
  type Value,
} from "../../../../lang/index.ts";
import { parseStorePath, type StorePath } from "../../../../store/index.ts";
import { printError } from "../../../printError.ts";
import { say } from "../../output.ts";

export interface CheckOptions {
  /** Of this machine: its checks are built. */
  readonly system: string;
  readonly checksAllSystems: boolean;
  /** Errors are told, and the rest is checked. */
  readonly keepsGoing: boolean;
}

/** A derivation below `checks`. */
export interface FoundCheck {
  readonly attribute: string;
  readonly drvPath: StorePath;
}

type Check = (slot: Slot, path: string, pos: Pos) => void;

/** Evaluates a flake's outputs and checks that they are what their names say. */
export class OutputChecker {
  readonly checks: FoundCheck[] = [];
  readonly omittedSystems = new Set<string>();
  hasErrors = false;
  readonly #evaluator: Evaluator;
  readonly #options: CheckOptions;
  readonly #checkers: ReadonlyMap<string, Check>;

  constructor({ evaluator }: { readonly evaluator: Evaluator }, options: CheckOptions) {
    this.#evaluator = evaluator;
    this.#options = options;
    this.#checkers = this.#makeCheckers();
  }

  /** @param outputs the set that the flake's function gave */
  check(outputs: AttrSet): void {
    const names = [...outputs.sortedNames()];
    for (const name of names.includes("hydraJobs")
      ? ["hydraJobs", ...names.filter((each) => each !== "hydraJobs")]
      : names) {
      say(`checking flake output '${name}'...`);
      const pos = outputs.posOf(name);
      this.#guard(`while checking flake output '${name}'`, pos, () => {
        const slot = outputs.get(name) ?? null;
        force(slot, pos);
        const replacement = DEPRECATED.get(name);
        if (replacement !== undefined)
          say(`warning: flake output attribute '${name}' is deprecated; use '${replacement}' instead`);
        const checker = this.#checkers.get(name);
        if (checker !== undefined) checker(slot, name, pos);
        else if (!UNCHECKED.has(name)) say(`warning: unknown flake output '${name}'`);
      });
    }
  }

  /** Tells an error and goes on, or fails with it. */
  report(error: DevshellError): void {
    if (!this.#options.keepsGoing) throw error;
    printError(error, { dropIn: "nix" });
    this.hasErrors = true;
  }

  #makeCheckers(): ReadonlyMap<string, Check> {
    const derivation: Check = (slot, path, pos) => void this.#derivation(slot, path, pos);
    const systems = (inner: Check): Check => this.#bySystem(inner);
    const members = (inner: Check): Check => this.#members(inner);
    return new Map<string, Check>([
      ["apps", systems(members(this.#app))],
      ["bundlers", systems(members(this.#bundler))],
      ["checks", this.#checkSystems],
      ["defaultApp", systems(this.#app)],
      ["defaultBundler", systems(this.#bundler)],
      ["defaultPackage", systems(derivation)],
      ["defaultTemplate", this.#template],
      ["devShell", systems(derivation)],
      ["devShells", systems(members(derivation))],
      ["formatter", systems(derivation)],
      ["hydraJobs", this.#hydraJobs],
      ["legacyPackages", systems(() => undefined)],
      ["nixosConfigurations", members(this.#configuration)],
      ["nixosModule", this.#module],
      ["nixosModules", members(this.#module)],
      ["overlay", this.#overlay],
      ["overlays", members(this.#overlay)],
      ["packages", systems(members(derivation))],
      ["templates", members(this.#template)],
    ]);
  }

  #members(inner: Check): Check {
    return (slot, path, pos) =>
      forceAttrs(slot, pos, "").forEachSorted((name, item, at) =>
        inner(item, `${path}.${quoteAttrName(name)}`, at),
      );
  }

  #bySystem(inner: Check): Check {
    return (slot, path, pos) =>
      forceAttrs(slot, pos, "").forEachSorted((system, item, at) => {
        if (!system.includes("-"))
          this.report(
            new DevshellError("FLAKE_CHECK", `'${system}' is not a valid system type, at ${showPos(at)}`),
          );
        if (this.#options.checksAllSystems || system === this.#options.system)
          inner(item, `${path}.${quoteAttrName(system)}`, at);
        else this.omittedSystems.add(system);
      });
  }

  #checkSystems: Check = (slot, path, pos) =>
    this.#bySystem((set, systemPath, at) =>
      this.#members((item, itemPath, itemPos) => {
        const drvPath = this.#derivation(item, itemPath, itemPos);
        if (drvPath === undefined)
          this.report(new DevshellError("FLAKE_CHECK", `'${systemPath}.drvPath' does not exist`));
        else if (systemPath === `checks.${this.#options.system}`)
          this.checks.push({ attribute: textOfBytes(itemPath), drvPath });
      })(set, systemPath, at),
    )(slot, path, pos);

  #derivation(slot: Slot, path: string, pos: Pos): StorePath | undefined {
    say(`checking derivation ${path}...`);
    return this.#guard(`while checking the derivation '${path}'`, pos, () => {
      const value = force(slot, pos);
      if (!isDerivation(value)) throw failure(`flake attribute '${path}' is not a derivation`);
      const drvPath = value.get("drvPath");
      if (drvPath === undefined) return undefined;
      const text = forceString(drvPath, value.posOf("drvPath"), "");
      say(`derivation evaluated to ${text}`);
      return parseStorePath(this.#evaluator.runtime.host.storeDir, text);
    });
  }

  #app: Check = (slot, path, pos) => {
    say(`checking app '${path}'...`);
    this.#guard(`while checking the app definition '${path}'`, pos, () => {
      const app = forceAttrs(slot, pos, "");
      for (const name of ["type", "program"]) {
        const part = app.get(name);
        if (part === undefined) throw failure(`app '${path}' lacks attribute '${name}'`);
        forceString(part, app.posOf(name), "");
      }
      const meta = app.get("meta");
      if (meta === undefined) say(`warning: app '${path}' lacks attribute 'meta'`);
      else if (forceAttrs(meta, app.posOf("meta"), "").get("description") === undefined)
        say(`warning: app '${path}' lacks attribute 'meta.description'`);
      refuseOthers(app, ["type", "program", "meta"], `app '${path}'`);
    });
  };

  #overlay: Check = (slot, path, pos) => {
    say(`checking overlay '${path}'...`);
    this.#guard(`while checking the overlay '${path}'`, pos, () => {
      const value = force(slot, pos);
      if (!(value instanceof Lambda))
        throw failure(`overlay is not a function, but ${showType(value)} instead`);
      const { argument = "", formals } = value.code;
      if (formals !== undefined || !(argument === "_" || argument.replace(/^_/, "") === "final"))
        throw failure("overlay does not take an argument named 'final'");
    });
  };

  #module: Check = (slot, path, pos) => {
    say(`checking NixOS module '${path}'...`);
    this.#guard(`while checking the NixOS module '${path}'`, pos, () => void force(slot, pos));
  };

  #hydraJobs: Check = (slot, path, pos) => {
    say(`checking Hydra job '${path}'...`);
    this.#guard(`while checking the Hydra jobset '${path}'`, pos, () => {
      const set: AttrSet = forceAttrs(slot, pos, "");
      const value: Value = set;
      if (isDerivation(value)) throw failure("jobset should not be a derivation at top-level");
      set.forEachSorted((name, item, at) => {
        const inner = `${path}.${quoteAttrName(name)}`;
        if (!isDerivation(forceAttrs(item, at, "") as Value)) return this.#hydraJobs(item, inner, at);
        say(`checking Hydra job '${inner}'...`);
        return void this.#derivation(item, inner, at);
      });
    });
  };

  #configuration: Check = (slot, path, pos) => {
    say(`checking NixOS configuration '${path}'...`);
    this.#guard(`while checking the NixOS configuration '${path}'`, pos, () => {
      const attribute = "config.system.build.toplevel";
      const { slot: top } = this.#evaluator.selectAttrPath(slot, attribute, AttrSet.of([], []));
      if (!isDerivation(force(top, pos))) throw failure(`attribute '${attribute}' is not a derivation`);
    });
  };

  #template: Check = (slot, path, pos) => {
    say(`checking template '${path}'...`);
    this.#guard(`while checking the template '${path}'`, pos, () => {
      const template = forceAttrs(slot, pos, "");
      const place = template.get("path");
      if (place === undefined) throw failure(`template '${path}' lacks attribute 'path'`);
      const { runtime } = this.#evaluator;
      const file = coerceToPath(runtime, place, new Set(), template.posOf("path"), "");
      if (runtime.host.fileType(file) === undefined)
        throw failure(`template '${path}' refers to a non-existent path '${file}'`);
      const description = template.get("description");
      if (description === undefined) throw failure(`template '${path}' lacks attribute 'description'`);
      forceString(description, template.posOf("description"), "");
      refuseOthers(template, ["path", "description", "welcomeText"], `template '${path}'`);
    });
  };

  #bundler: Check = (slot, path, pos) => {
    say(`checking bundler '${path}'...`);
    this.#guard(`while checking the template '${path}'`, pos, () => {
      if (!(force(slot, pos) instanceof Lambda)) throw failure("bundler must be a function");
    });
  };

  #guard<T>(frame: string, pos: Pos, run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      const framed = addFrame(error, frame, pos);
      if (!(framed instanceof DevshellError)) throw framed;
      this.report(framed);
      return undefined;
    }
  }
}

const DEPRECATED: ReadonlyMap<string, string> = new Map([
  ["defaultPackage", "packages.<system>.default"],
  ["defaultApp", "apps.<system>.default"],
  ["defaultTemplate", "templates.default"],
  ["defaultBundler", "bundlers.<system>.default"],
  ["overlay", "overlays.default"],
  ["devShell", "devShells.<system>.default"],
  ["nixosModule", "nixosModules.default"],
]);

/** Known, and nothing is said of what they hold. */
const UNCHECKED = new Set([
  "lib",
  "darwinConfigurations",
  "darwinModules",
  "flakeModule",
  "flakeModules",
  "herculesCI",
  "homeConfigurations",
  "homeModule",
  "homeModules",
  "nixopsConfigurations",
]);

function refuseOthers(set: AttrSet, known: readonly string[], what: string): void {
  for (const name of set.sortedNames())
    if (!known.includes(name)) throw failure(`${what} has unsupported attribute '${name}'`);
}

function failure(message: string): DevshellError {
  return new DevshellError("FLAKE_CHECK", message);
}
