import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, textOfBytes } from "../../../core/index.ts";
import {
  AttrSet,
  addFrame,
  evalError,
  force,
  isStringValue,
  textOf,
  type Pos,
  type Slot,
} from "../../../lang/index.ts";

/**
 * Writes a string as a file, a set of such as a directory (`nix eval --write-to`).
 * @throws {DevshellError} `CLI_EXISTS`, or what evaluation throws
 */
export function writeTree(slot: Slot, pos: Pos, path: string): void {
  if (existsSync(path)) throw new DevshellError("CLI_EXISTS", `path '${path}' already exists`);
  write(slot, pos, path);
}

function write(slot: Slot, pos: Pos, path: string): void {
  const value = force(slot, pos);
  if (isStringValue(value)) return writeFileSync(path, textOf(value), "latin1");
  if (!(value instanceof AttrSet))
    throw evalError("type", `value at '${path}' is not a string or an attribute set`, pos);
  mkdirSync(path);
  value.forEachSorted((name, item, at) => {
    try {
      if (name === "." || name === ".." || /[/\0]/.test(name) || name === "")
        throw evalError("eval", `invalid file name '${name}'`);
      write(item, at, join(path, textOfBytes(name)));
    } catch (error) {
      throw addFrame(error, `while evaluating the attribute '${name}'`, at);
    }
  });
}
