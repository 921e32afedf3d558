import { textOfBytes, type ByteString } from "../../../core/index.ts";
import { compareBytes } from "../../format/storePath.ts";
import type { NarListing } from "../../format/narRestore.ts";

/** A NAR's `.ls` file, as Nix writes it since 2.35: keys in order, no spaces. */
export function printNarListing(root: NarListing): string {
  return `{"root":${printNode(root)},"version":1}`;
}

function printNode(node: NarListing): string {
  switch (node.type) {
    case "regular":
      return `{"executable":${node.executable === true},"narOffset":${node.narOffset},"size":${node.size},"type":"regular"}`;
    case "symlink":
      return `{"target":${quoted(node.target)},"type":"symlink"}`;
    case "directory": {
      const names = Object.keys(node.entries).sort(compareBytes);
      const entries = names.map((name) => `${quoted(name)}:${printNode(node.entries[name]!)}`);
      return `{"entries":{${entries.join(",")}},"type":"directory"}`;
    }
  }
}

function quoted(name: ByteString): string {
  return JSON.stringify(textOfBytes(name));
}

/** Files that hold debug information for a program, by the build id that both carry, and `.debug`. */
export function debugFilesIn(root: NarListing): ReadonlyMap<string, ByteString> {
  const files = new Map<string, ByteString>();
  const top = ["lib", "debug", ".build-id"].reduce<NarListing | undefined>(entryOf, root);
  if (top?.type !== "directory") return files;
  for (const [first, directory] of Object.entries(top.entries)) {
    if (directory.type !== "directory" || !/^[0-9a-f]{2}$/.test(first)) continue;
    for (const [rest, file] of Object.entries(directory.entries))
      if (file.type === "regular" && /^[0-9a-f]{38}\.debug$/.test(rest))
        files.set(`${first}${rest}`, `lib/debug/.build-id/${first}/${rest}`);
  }
  return files;
}

function entryOf(node: NarListing | undefined, name: string): NarListing | undefined {
  return node?.type === "directory" && Object.hasOwn(node.entries, name) ? node.entries[name] : undefined;
}
