{
  description = "All that nix flake show tells apart";
  outputs =
    { self }:
    let
      package = name: {
        type = "derivation";
        inherit name;
        meta.description = "What ${name} is";
      };
    in
    {
      apps.x86_64-linux.run = {
        type = "app";
        program = "/bin/run";
        meta.description = "An app";
      };
      checks.x86_64-linux.unit = package "unit";
      custom = 1;
      devShells.x86_64-linux.default = package "shell";
      formatter.x86_64-linux = package "formatter";
      hydraJobs = {
        job = package "job";
        nested.deep = package "deep";
      };
      legacyPackages.x86_64-linux = {
        hello = package "hello";
        broken = throw "not shown";
      };
      lib.x = 1;
      nixosConfigurations.host = { };
      nixosModules.module = { };
      overlays.default = final: prev: { };
      packages = {
        aarch64-linux.default = throw "of another system";
        i686-linux = { };
        x86_64-linux = {
          default = package "default-1.0";
          "quoted name" = package "quoted";
        };
      };
      templates.default = {
        path = ./.;
        description = "A template";
      };
    };
}
