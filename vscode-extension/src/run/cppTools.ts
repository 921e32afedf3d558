import { extensions, workspace, type TextDocument, type Uri } from "vscode";
import { browseConfiguration, fileConfiguration, hasCpp } from "./cppConfiguration.ts";
import { CPP_TOOLS_VERSION } from "./cppToolsApi.ts";
import type {
  BrowseConfiguration,
  CppToolsApi,
  CppToolsExtension,
  CustomConfigurationProvider,
} from "./cppToolsApi.ts";
import type { EnvironmentReport, Services } from "../model.ts";

const CPP_TOOLS = "ms-vscode.cpptools";
const LANGUAGES = new Set(["c", "cpp", "cuda-cpp", "objective-c", "objective-cpp"]);

/**
 * Offers the environment's compiler and headers to the C/C++ extension, where that is installed. It asks its user
 * itself; no setting is written. clangd needs nothing of this: it finds `clang.cfg` beside the compiler on PATH.
 */
export function registerCppTools(services: Services): void {
  const { context, environments, log } = services;
  const provider = makeProvider(services);
  let api: CppToolsApi | undefined;
  let isAsked = false;

  const connect = async (): Promise<void> => {
    isAsked = true;
    try {
      api = await openApi();
      if (api === undefined) return;
      context.subscriptions.push(api);
      api.registerCustomConfigurationProvider(provider);
      api.notifyReady?.(provider);
      log.info("the C/C++ extension is offered the environment's compiler and headers");
    } catch (error) {
      log.warn(`the C/C++ extension cannot be told of the environment: ${String(error)}`);
    }
  };
  /** Once there is something to offer, and a file that makes use of it. */
  const connectWhenOf = async (document: TextDocument): Promise<void> => {
    if (isAsked || !LANGUAGES.has(document.languageId) || extensions.getExtension(CPP_TOOLS) === undefined)
      return;
    const report = environments.of(document.uri)?.report;
    if (report !== undefined && hasCpp(report)) await connect();
  };
  const connectWhenOpen = (): void => {
    for (const document of workspace.textDocuments) void connectWhenOf(document);
  };
  context.subscriptions.push(
    workspace.onDidOpenTextDocument((document) => void connectWhenOf(document)),
    extensions.onDidChange(connectWhenOpen),
    environments.onDidChange(({ environment, previousReport }) => {
      if (environment.report === previousReport) return;
      if (api === undefined) connectWhenOpen();
      else {
        api.didChangeCustomConfiguration(provider);
        api.didChangeCustomBrowseConfiguration?.(provider);
      }
    }),
  );
  connectWhenOpen();
}

async function openApi(): Promise<CppToolsApi | undefined> {
  const exported: unknown = await extensions.getExtension(CPP_TOOLS)?.activate();
  return isCppTools(exported) ? exported.getApi(CPP_TOOLS_VERSION) : undefined;
}

function makeProvider({ context, environments }: Services): CustomConfigurationProvider {
  const reportOf = (uri: Uri): EnvironmentReport | undefined => {
    const report = environments.of(uri)?.report;
    return report !== undefined && hasCpp(report) ? report : undefined;
  };
  const folderOf = (uri: Uri): string => workspace.getWorkspaceFolder(uri)?.uri.fsPath ?? uri.fsPath;
  const browse = (uri: Uri | undefined): BrowseConfiguration | null => {
    const report = uri === undefined ? undefined : reportOf(uri);
    return uri === undefined || report === undefined ? null : browseConfiguration(report, folderOf(uri));
  };
  return {
    name: "Devshell",
    extensionId: context.extension.id,
    canProvideConfiguration: (uri) => Promise.resolve(reportOf(uri) !== undefined),
    provideConfigurations: (uris) =>
      Promise.resolve(
        uris.flatMap((uri) => {
          const report = reportOf(uri);
          if (report === undefined) return [];
          const configuration = fileConfiguration(report, folderOf(uri), uri.fsPath, process.arch);
          return [{ uri, configuration }];
        }),
      ),
    canProvideBrowseConfiguration: () =>
      Promise.resolve(environments.all.some(({ report }) => report !== undefined)),
    provideBrowseConfiguration: () => Promise.resolve(browse(workspace.workspaceFolders?.[0]?.uri)),
    canProvideBrowseConfigurationsPerFolder: () => Promise.resolve(true),
    provideFolderBrowseConfiguration: (uri) => Promise.resolve(browse(uri)),
    dispose: () => undefined,
  };
}

function isCppTools(exported: unknown): exported is CppToolsExtension {
  return (
    typeof exported === "object" &&
    exported !== null &&
    "getApi" in exported &&
    typeof exported.getApi === "function"
  );
}
