import { printLine } from "../../output.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { environmentJson } from "./environmentFile.ts";
import { devScript, openDevContext, openDevEnvironment, parseDevRequest } from "./openDevEnvironment.ts";

/** `nix print-dev-env`: the environment of a derivation's build as a script for Bash, or as JSON. */
export async function printDevEnv(argv: readonly string[]): Promise<number> {
  const layout: JsonLayout = { isPretty: undefined };
  let isJson = false;
  const request = parseDevRequest("nix print-dev-env", argv, (word) => {
    if (takeJsonLayout(layout, word)) return true;
    if (word !== "--json") return false;
    isJson = true;
    return true;
  });
  using context = openDevContext("nix print-dev-env", request);
  const environment = await openDevEnvironment(context, request);
  if (isJson) printJsonLine(environmentJson(environment.file), layout);
  else printLine(devScript(context, request, environment));
  return 0;
}
