import { basename, dirname } from "node:path";
import type { EnvironmentReport } from "../../../cli/protocol/types.ts";
import type { BrowseConfiguration, SourceFileConfiguration } from "./cppToolsApi.ts";

const CPU_NAMES: Readonly<Record<string, string>> = { x64: "x64", arm64: "arm64", ia32: "x86", arm: "arm" };

/** Whether an environment says anything about C and C++. */
export function hasCpp({ searchPaths }: EnvironmentReport): boolean {
  return searchPaths.compiler !== undefined || searchPaths.headers.length > 0;
}

/**
 * What IntelliSense needs for one file.
 * @param architecture `process.arch`
 */
export function fileConfiguration(
  report: EnvironmentReport,
  folder: string,
  file: string,
  architecture: string,
): SourceFileConfiguration {
  const { compiler, headers } = report.searchPaths;
  const own = [dirname(file), folder, `${folder}/include`, `${folder}/src`];
  return {
    includePath: [...new Set([...own, ...headers])],
    defines: [],
    ...(compiler === undefined
      ? {}
      : { compilerPath: compiler, intelliSenseMode: modeOf(compiler, architecture) }),
  };
}

/** What is indexed for "go to definition". */
export function browseConfiguration(report: EnvironmentReport, folder: string): BrowseConfiguration {
  const { compiler, headers } = report.searchPaths;
  return {
    browsePath: [`${folder}/**`, ...headers],
    ...(compiler === undefined ? {} : { compilerPath: compiler }),
  };
}

function modeOf(compiler: string, architecture: string): string {
  const family = /clang/.test(basename(compiler)) ? "clang" : "gcc";
  return `linux-${family}-${CPU_NAMES[architecture] ?? "x64"}`;
}
