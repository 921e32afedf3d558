import { DevshellError, bytesOfText, type ByteString } from "../../../../core/index.ts";
import {
  AttrSet,
  EvalError,
  NO_POS,
  evalError,
  force,
  forceString,
  printLockJson,
  quoteAttrName,
  showReference,
  type LockJson,
  type Slot,
} from "../../../../lang/index.ts";
import { printLine, say } from "../../output.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";
import { TREE } from "./metadata.ts";

const BOLD = "\u001B[1m";
const GREEN = "\u001B[32;1m";
const MAGENTA = "\u001B[35;1m";
const PLAIN = "\u001B[0m";

type JsonObject = Map<string, LockJson>;

/** `nix flake show`. */
export function show(argv: readonly string[]): number {
  const options = { isJson: false, showsLegacy: false, showsAllSystems: false };
  const layout: JsonLayout = { isPretty: undefined };
  const request = parseFlakeRequest("nix flake show", argv, (word) => {
    if (word === "--json") options.isJson = true;
    else if (word === "--legacy") options.showsLegacy = true;
    else if (word === "--all-systems") options.showsAllSystems = true;
    else return takeJsonLayout(layout, word);
    return true;
  });
  const { settings } = request.common;
  if (!settings.has("allow-import-from-derivation")) settings.set("allow-import-from-derivation", "false");
  using command = new FlakeCommand(request);
  const locked = command.lock();
  const outputs = command.open(locked).get("outputs") ?? null;
  const localSystem = command.context.settings.config.system;
  const viewer = new OutputViewer({ ...options, localSystem });
  const header = `${BOLD}${showReference(locked.flake.locked)}${PLAIN}`;
  const json = command.evaluation.evaluator.run(() => viewer.visit(outputs, [], header, ""));
  if (options.isJson) printJsonLine(printLockJson(json, "compact"), layout);
  return 0;
}

interface ViewOptions {
  readonly isJson: boolean;
  readonly showsLegacy: boolean;
  readonly showsAllSystems: boolean;
  readonly localSystem: string;
}

/** What is to be done with an output, by its place. */
type Kind = "set" | "package" | "jobs" | "legacy" | "app" | "template" | "other";

const BY_SYSTEM = new Set(["checks", "packages", "devShells"]);
const SINGLE_BY_SYSTEM = new Set(["defaultPackage", "devShell", "formatter"]);
const NAMED = new Set(["nixosConfigurations", "nixosModules", "templates", "overlays", "defaultApp"]);

class OutputViewer {
  readonly #options: ViewOptions;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  visit(slot: Slot, path: readonly string[], header: ByteString, prefix: string): JsonObject {
    say(`evaluating '${path.join(".")}'...`);
    const json: JsonObject = new Map();
    try {
      this.#show(slot, path, header, prefix, json);
    } catch (error) {
      if (!(error instanceof EvalError) || path[0] !== "legacyPackages") throw error;
    }
    return json;
  }

  #show(slot: Slot, path: readonly string[], header: ByteString, prefix: string, json: JsonObject): void {
    const { showsAllSystems, showsLegacy, localSystem } = this.#options;
    const isForeign = !showsAllSystems && path[1] !== localSystem;
    const enter = (): void => this.#enter(slot, path, header, prefix, json);
    const describe = (): void => this.#describe(slot, path, header, json);
    switch (kindOf(path)) {
      case "set":
        return enter();
      case "package":
        if (isForeign) return this.#omit(path, header, " (use '--all-systems' to show)");
        return this.#orImport(path, header, () => {
          if (isDerivationSet(slot)) describe();
          else say(`warning: ${path.join(".")}.name is not a derivation`);
        });
      case "jobs":
        return this.#orImport(path, header, () => (isDerivationSet(slot) ? describe() : enter()));
      case "legacy":
        if (path.length === 1) return enter();
        if (!showsLegacy) return this.#omit(path, header, " (use '--legacy' to show)");
        if (isForeign) return this.#omit(path, header, " (use '--all-systems' to show)");
        return this.#orImport(path, header, () => {
          if (isDerivationSet(slot)) describe();
          else if (path.length <= 2) enter();
        });
      case "app":
        return this.#showApp(slot, header, json);
      case "template": {
        const description = stringOf(setOf(slot, path), "description");
        if (description === undefined) throw evalError("missingAttribute", "attribute 'description' missing");
        json.set("type", "template").set("description", description);
        return this.#print(`${header}: template: ${BOLD}${description}${PLAIN}`);
      }
      case "other": {
        const [type, title] = otherType(path);
        json.set("type", type);
        return this.#print(`${header}: ${MAGENTA}${title}${PLAIN}`);
      }
    }
  }

  #enter(slot: Slot, path: readonly string[], header: ByteString, prefix: string, json: JsonObject): void {
    this.#print(header);
    const members: [string, Slot][] = [];
    setOf(slot, path).forEachSorted((name, item) => {
      if (hasContent(item, [...path, name])) members.push([name, item]);
    });
    members.forEach(([name, item], index) => {
      const isLast = index === members.length - 1;
      const tree = bytesOfText(prefix + (isLast ? TREE.last : TREE.branch));
      const next = prefix + (isLast ? TREE.none : TREE.line);
      const inner = `${GREEN}${tree}${PLAIN}${BOLD}${quoteAttrName(name)}${PLAIN}`;
      json.set(name, this.visit(item, [...path, name], inner, next));
    });
  }

  #describe(slot: Slot, path: readonly string[], header: ByteString, json: JsonObject): void {
    const set = setOf(slot, path);
    const name = stringOf(set, "name") ?? "";
    const [top] = path;
    if (this.#options.isJson) {
      json
        .set("type", "derivation")
        .set("name", name)
        .set("description", descriptionOf(set) ?? "");
      return;
    }
    const isShell = (path.length === 2 && top === "devShell") || (path.length >= 2 && top === "devShells");
    const isJob = (path.length === 3 && top === "checks") || top === "hydraJobs";
    const what = isShell ? "development environment" : isJob ? "derivation" : "package";
    this.#print(`${header}: ${what} '${name}'`);
  }

  #showApp(slot: Slot, header: ByteString, json: JsonObject): void {
    const set = setOf(slot, []);
    const description = descriptionOf(set);
    if (stringOf(set, "type") !== "app") throw evalError("eval", "not an app definition");
    json.set("type", "app");
    if (description !== undefined) json.set("description", description);
    this.#print(`${header}: app: ${BOLD}${description ?? "no description"}${PLAIN}`);
  }

  #omit(path: readonly string[], header: ByteString, why: string): void {
    if (this.#options.isJson) say(`warning: ${path.join(".")} omitted${why}`);
    else printLine(`${header} ${MAGENTA}omitted${PLAIN}${why}`);
  }

  /** What needs a build to be evaluated is left out. */
  #orImport(path: readonly string[], header: ByteString, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof DevshellError) || !error.message.includes("allow-import-from-derivation"))
        throw error;
      const why = "omitted due to use of import from derivation";
      if (this.#options.isJson) say(`warning: ${path.join(".")} ${why}`);
      else printLine(`${header} ${MAGENTA}${why}${PLAIN}`);
    }
  }

  #print(line: ByteString): void {
    if (!this.#options.isJson) printLine(line);
  }
}

function kindOf(path: readonly string[]): Kind {
  const [top = ""] = path;
  const { length } = path;
  if (length === 0) return "set";
  if (length === 1 && (SINGLE_BY_SYSTEM.has(top) || NAMED.has(top))) return "set";
  if (length <= 2 && (BY_SYSTEM.has(top) || top === "apps")) return "set";
  if (length === 2 && SINGLE_BY_SYSTEM.has(top)) return "package";
  if (length === 3 && BY_SYSTEM.has(top)) return "package";
  if (top === "hydraJobs") return "jobs";
  if (top === "legacyPackages") return "legacy";
  if ((length === 2 && top === "defaultApp") || (length === 3 && top === "apps")) return "app";
  if ((length === 1 && top === "defaultTemplate") || (length === 2 && top === "templates")) return "template";
  return "other";
}

function otherType([top, ...rest]: readonly string[]): readonly [type: string, title: string] {
  const isNamed = rest.length === 1;
  if ((rest.length === 0 && top === "overlay") || (isNamed && top === "overlays"))
    return ["nixpkgs-overlay", "Nixpkgs overlay"];
  if (isNamed && top === "nixosConfigurations") return ["nixos-configuration", "NixOS configuration"];
  if ((rest.length === 0 && top === "nixosModule") || (isNamed && top === "nixosModules"))
    return ["nixos-module", "NixOS module"];
  return ["unknown", "unknown"];
}

const NESTED = new Set(["apps", "checks", "devShells", "legacyPackages", "packages"]);
const FLAT = new Set(["formatter", "nixosConfigurations", "nixosModules", "overlays"]);

/** Sets that are empty all through are not shown: frameworks leave many. */
function hasContent(slot: Slot, path: readonly string[]): boolean {
  const [top = ""] = path;
  const isNested = NESTED.has(top) && path.length <= 2;
  if (!isNested && !(FLAT.has(top) && path.length === 1)) return true;
  try {
    let isFull = false;
    setOf(slot, path).forEachSorted((name, item) => {
      isFull ||= hasContent(item, [...path, name]);
    });
    return isFull;
  } catch (error) {
    if (error instanceof EvalError) return true;
    throw error;
  }
}

function setOf(slot: Slot, path: readonly string[]): AttrSet {
  const value = force(slot);
  if (value instanceof AttrSet) return value;
  throw evalError("type", `'${path.join(".")}' is not an attribute set`);
}

function isDerivationSet(slot: Slot): boolean {
  const value = force(slot);
  return value instanceof AttrSet && stringOf(value, "type") === "derivation";
}

function stringOf(set: AttrSet, name: string): ByteString | undefined {
  const slot = set.get(name);
  return slot === undefined ? undefined : forceString(slot, NO_POS, "");
}

function descriptionOf(set: AttrSet): ByteString | undefined {
  const meta = set.get("meta");
  return meta === undefined ? undefined : stringOf(setOf(meta, ["meta"]), "description");
}
