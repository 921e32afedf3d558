import { expect, it } from "vitest";
import { rehearse } from "../../cli/rehearse.ts";

// What is compiled in the start-up snapshot: a command line that fails would leave the rest of it cold.
it("runs the whole of its program, each time the same, and leaves the process as it was", async () => {
  const replaced = ["stdout", "stderr", "exit"] as const;
  const state = (): unknown => [
    { ...process.env },
    replaced.map((name) => Object.getOwnPropertyDescriptor(process, name)),
  ];
  const before = state();
  const printed = await rehearse();
  expect(printed).toMatch(/^2\n/);
  expect(printed).toMatch(/drvs = \[ "\/nix\/store\/[a-z0-9]{32}-a-2\.10\.drv" /);
  expect(printed).toContain('text = "one \\${two} 1.10\\n  three\\n"');
  expect(printed).toContain('["bac",["ab","12"],');
  expect(printed).toContain("services = { a = { enable = true; port = 80; }; }");
  expect(printed).toMatch(/\n\/nix\/store\/[a-z0-9]{32}-c\.drv\n$/);
  expect(printed).not.toMatch(/[«<]/);
  const withoutPlace = (text: string): string => text.replaceAll(/devshell-rehearsal-\w+/g, "");
  expect(withoutPlace(await rehearse())).toBe(withoutPlace(printed));
  expect(state()).toEqual(before);
});
