import { expect, it } from "vitest";
import { warmUp } from "../../cli/warmUp.ts";

// What the start-up snapshot has run: a program that fails would leave the rest of it cold.
it("evaluates the whole of its program, each time the same", () => {
  const printed = warmUp();
  expect(printed).toMatch(/drvs = \[ "\/nix\/store\/[a-z0-9]{32}-a-2\.10\.drv" /);
  expect(printed).toContain('text = "one \\${two} 1.10\\n  three\\n"');
  expect(printed).not.toContain("«");
  expect(warmUp()).toBe(printed);
});
