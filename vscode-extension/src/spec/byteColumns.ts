/** How many UTF-16 code units of a line its first `bytes` bytes of UTF-8 are. */
export function charactersOfBytes(line: string, bytes: number): number {
  let characters = 0;
  let seen = 0;
  for (const character of line) {
    if (seen >= bytes) break;
    seen += Buffer.byteLength(character);
    characters += character.length;
  }
  return characters;
}
