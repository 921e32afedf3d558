/** The greeting for each name, one a line. */
export function greet(names) {
  return names.map((name) => `Hello, ${name}!`).join("\n");
}
