import { readFileSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";

/** A machine that builds for us: a line of `builders`, or of the file that it names. */
export interface Machine {
  /** Its store's address. */
  readonly url: string;
  readonly systems: ReadonlySet<string>;
  readonly sshKey?: string | undefined;
  /** Builds at once. */
  readonly maxJobs: number;
  /** Of two that fit, the faster is asked; 1 is usual. */
  readonly speedFactor: number;
  readonly supportedFeatures: ReadonlySet<string>;
  /** It builds only what asks for one of these. */
  readonly mandatoryFeatures: ReadonlySet<string>;
  /** Base 64 of its public key's line. */
  readonly hostKey?: string | undefined;
}

/** A file of machines may name others. */
const MAX_FILE_DEPTH = 16;
const MAX_JOBS = 1 << 20;

/**
 * Reads the option `builders`: machines separated by `;` or line ends, `#` comments, `@FILE` for what a file says (one
 * that does not exist says nothing). Columns: store, systems, key, jobs, speed, features, mandatory features, host key;
 * `-` leaves one out.
 * @throws {DevshellError} `MACHINE_INVALID`, naming the column and the line
 */
export function parseMachines(text: string, system: string): readonly Machine[] {
  return entriesOf(text, 0).map((entry) => parseMachine(entry, system));
}

/**
 * Takes machines out of the option `builders`.
 * @returns the option without them, and them
 * @throws {DevshellError} as {@link parseMachines}
 */
export function withoutMachines(
  text: string,
  system: string,
  isTaken: (machine: Machine) => boolean,
): { readonly rest: string; readonly taken: readonly Machine[] } {
  const rows = entriesOf(text, 0).map((entry) => ({ entry, machine: parseMachine(entry, system) }));
  const taken = rows.filter(({ machine }) => isTaken(machine));
  const rest = rows.filter((row) => !taken.includes(row));
  return { rest: rest.map(({ entry }) => entry).join("\n"), taken: taken.map(({ machine }) => machine) };
}

function entriesOf(text: string, depth: number): string[] {
  const entries = text
    .split("\n")
    .flatMap((line) => line.replace(/#.*/, "").split(";"))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  return entries.flatMap((entry) => {
    if (!entry.startsWith("@")) return [entry];
    const file = entry.slice(1).trim();
    if (depth >= MAX_FILE_DEPTH)
      throw new DevshellError(
        "MACHINE_INVALID",
        `Cannot read machines from "${file}": files name each other`,
      );
    return entriesOf(readMachinesFile(file), depth + 1);
  });
}

function readMachinesFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return "";
    throw new DevshellError("MACHINE_INVALID", `Cannot read machines from "${file}": ${message}`, { cause });
  }
}

function parseMachine(row: string, system: string): Machine {
  const columns = row.split(/\s+/);
  const column = (index: number): string | undefined => {
    const text = columns[index];
    return text === undefined || text === "-" ? undefined : text;
  };
  const list = (index: number): ReadonlySet<string> =>
    new Set((column(index) ?? "").split(",").filter((word) => word !== ""));
  const invalid = (index: number, type: string): DevshellError =>
    new DevshellError(
      "MACHINE_INVALID",
      `bad machine specification: failed to convert column #${index} in a row: '${row}' to '${type}'`,
      { hint: "columns: store, systems, ssh key, jobs, speed, features, mandatory features, host key" },
    );
  const store = column(0);
  if (store === undefined)
    throw new DevshellError(
      "MACHINE_INVALID",
      `bad machine specification: store URL was not found at the first column of a row: '${row}'`,
    );
  const jobs = column(3) ?? "1";
  if (!/^\d{1,9}$/.test(jobs)) throw invalid(3, "unsigned int");
  const speed = column(4) ?? "1";
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(speed)) throw invalid(4, "float");
  if (Number(speed) < 0) throw new DevshellError("MACHINE_INVALID", "speed factor must be >= 0");
  const hostKey = column(7);
  if (hostKey !== undefined && !/^[A-Za-z0-9+/\s]*={0,2}$/.test(hostKey)) throw invalid(7, "base 64");
  const systems = list(1);
  return {
    url: storeUrl(store),
    systems: systems.size === 0 ? new Set([system]) : systems,
    sshKey: column(2),
    maxJobs: Math.min(Number(jobs), MAX_JOBS),
    speedFactor: Number(speed) || 1,
    supportedFeatures: list(5),
    mandatoryFeatures: list(6),
    hostKey,
  };
}

/** What is neither an address nor a path nor a word for a store is a host. */
function storeUrl(text: string): string {
  return text.includes("/") || /^(auto|daemon|local)?(\?|$)/.test(text) ? text : `ssh://${text}`;
}

/** What a build asks of the machine that it runs on. */
export interface MachineNeeds {
  readonly system: string;
  readonly features: readonly string[];
}

export function fits(machine: Machine, { system, features }: MachineNeeds): boolean {
  const { systems, supportedFeatures, mandatoryFeatures } = machine;
  return (
    (system === "builtin" || systems.has(system)) &&
    features.every((feature) => supportedFeatures.has(feature) || mandatoryFeatures.has(feature)) &&
    [...mandatoryFeatures].every((feature) => features.includes(feature))
  );
}

/** The address with what stands in the machine's other columns. */
export function machineAddress({ url, sshKey, hostKey }: Machine): string {
  if (!/^ssh(-ng)?:/.test(url)) return url;
  const more = [
    ...(sshKey === undefined ? [] : [`ssh-key=${encodeURIComponent(sshKey)}`]),
    ...(hostKey === undefined ? [] : [`base64-ssh-public-host-key=${encodeURIComponent(hostKey)}`]),
  ];
  if (more.length === 0) return url;
  return `${url}${url.includes("?") ? "&" : "?"}${more.join("&")}`;
}
