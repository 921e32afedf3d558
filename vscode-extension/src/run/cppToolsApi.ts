import type { CancellationToken, Disposable, Uri } from "vscode";

/** The API of the C/C++ extension (ms-vscode.cpptools), version 5, as far as it is used. */
export interface CppToolsApi extends Disposable {
  registerCustomConfigurationProvider(provider: CustomConfigurationProvider): void;
  /** Missing before version 2. */
  readonly notifyReady?: (provider: CustomConfigurationProvider) => void;
  didChangeCustomConfiguration(provider: CustomConfigurationProvider): void;
  readonly didChangeCustomBrowseConfiguration?: (provider: CustomConfigurationProvider) => void;
}

export interface CppToolsExtension {
  getApi(version: number): CppToolsApi;
}

export const CPP_TOOLS_VERSION = 5;

export interface CustomConfigurationProvider extends Disposable {
  readonly name: string;
  readonly extensionId: string;
  canProvideConfiguration(uri: Uri, token?: CancellationToken): Promise<boolean>;
  provideConfigurations(
    uris: readonly Uri[],
    token?: CancellationToken,
  ): Promise<readonly SourceFileConfigurationItem[]>;
  canProvideBrowseConfiguration(token?: CancellationToken): Promise<boolean>;
  provideBrowseConfiguration(token?: CancellationToken): Promise<BrowseConfiguration | null>;
  canProvideBrowseConfigurationsPerFolder(token?: CancellationToken): Promise<boolean>;
  provideFolderBrowseConfiguration(uri: Uri, token?: CancellationToken): Promise<BrowseConfiguration | null>;
}

export interface SourceFileConfigurationItem {
  readonly uri: Uri;
  readonly configuration: SourceFileConfiguration;
}

export interface SourceFileConfiguration {
  readonly includePath: readonly string[];
  readonly defines: readonly string[];
  readonly intelliSenseMode?: string;
  /** Asked for its own search paths and definitions. */
  readonly compilerPath?: string;
}

export interface BrowseConfiguration {
  readonly browsePath: readonly string[];
  readonly compilerPath?: string;
}
