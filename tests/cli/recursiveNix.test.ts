import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestCommands } from "./testCommands.ts";

let t: TestCommands;

beforeAll(() => {
  t = new TestCommands({ NIX_CONFIG: "experimental-features = nix-command recursive-nix" });
});

afterAll(() => t[Symbol.dispose]());

it("a builder adds to the store and builds in it, but sees only what is its own", () => {
  t.write("secret", "of others");
  const secret = t.run("nix-store", ["--add", join(t.root, "secret")]).out.trim();
  const inner = `derivation {
    name = "inner"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "read text < $input; echo built $text > $out" ];
    input = builtins.toFile "input" "inside\\n";
  }`;
  t.write("inner.nix", inner);
  t.write(
    "default.nix",
    `{ secret }: derivation {
      name = "outer"; system = builtins.currentSystem; builder = "/bin/sh";
      requiredSystemFeatures = [ "recursive-nix" ];
      PATH = "${t.root}/bin:/usr/bin:/bin";
      known = builtins.toFile "known" "";
      inner = ./inner.nix;
      inherit secret;
      args = [ "-ec" ''
        nix path-info $known
        nix path-info $secret && exit 9
        nix build $secret && exit 9
        mkdir $out
        echo added > added
        ln -s $(nix store add-path ./added) $out/added
        nix build -f $inner -o result
        cp -P result $out/inner
        nix-store --gc && exit 9
        nix path-info --all | wc -l > $out/count
      '' ];
    }`,
  );
  const { status, out, err } = t.run("nix-build", ["--argstr", "secret", secret, "--no-out-link"]);
  expect(err).toContain(`path '${secret}' is not valid`);
  expect(`${status} ${err.slice(-2000)}`).toMatch(/^0/);
  const path = out.trim();
  expect(readFileSync(readlinkSync(join(path, "added")), "utf8")).toBe("added\n");
  expect(readFileSync(readlinkSync(join(path, "inner")), "utf8")).toBe("built inside\n");
  // Its two inputs, what it added, and with what was built inside: derivation, input, output.
  expect(readFileSync(join(path, "count"), "utf8").trim()).toBe("6");
  const closure = t.run("nix-store", ["-qR", path]).out;
  expect(closure).toMatch(/-added\n[^]*-inner\n|-inner\n[^]*-added\n/);
}, 60_000);

it("builders that do not ask for it get nothing, nor do any where the feature is off", () => {
  const expression = (features: string): string => `derivation {
    name = "plain"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-c" "echo remote=$NIX_REMOTE > $out" ]; requiredSystemFeatures = [ ${features} ]; }`;
  const plain = t.run("nix-build", ["--no-out-link", "-E", expression("")]).out.trim();
  expect(readFileSync(plain, "utf8")).toBe("remote=\n");
  const off = ["--option", "experimental-features", "nix-command"];
  const { err } = t.run("nix-build", [...off, "-E", expression('"recursive-nix"')]);
  expect(err).toContain("Required features: {recursive-nix}");
});

const SUBMITTING = {
  NIX_CONFIG:
    "sandbox = false\nsubstituters =\nexperimental-features = nix-command ca-derivations dynamic-derivations",
};

/** A derivation with two outputs whose builder says what they are. */
function submittingDerivation(script: string): string {
  return `derivation {
    name = "said"; outputs = [ "out" "doc" ]; system = builtins.currentSystem; builder = "/bin/sh";
    requiredSystemFeatures = [ "builder-rpc-v0" ];
    __contentAddressed = true; outputHashMode = "nar"; outputHashAlgo = "sha256";
    PATH = "${t.root}/bin:/usr/bin:/bin";
    dependency = builtins.toFile "dependency" "";
    args = [ "-ec" ''${script}'' ];
  }`;
}

it("a builder says itself what its outputs are, and what they refer to is found", () => {
  const script = `
    [ -z "$out$doc" ]
    mkdir docs; echo $dependency > docs/text
    added=$(nix store add --scan -n said-doc ./docs)
    nix store submit-output $added doc
    echo $added > main
    nix store submit-output $(nix store add --scan -n said ./main) out
    nix store submit-output $added doc && exit 9
    nix path-info --all && exit 9
    true`;
  const built = t.run("nix-build", ["--no-out-link", "-E", submittingDerivation(script)], {
    env: SUBMITTING,
  });
  expect(built.err).toContain("Attempted to submit duplicate output 'doc'");
  expect(built.err).toContain("builders may not ask for 'queryAllValidPaths'");
  expect(`${built.status} ${built.err.slice(-2000)}`).toMatch(/^0/);
  const referencesOf = (path: string): string =>
    t.run("nix-store", ["-q", "--references", path], { env: SUBMITTING }).out.trim();
  const doc = referencesOf(built.out.trim());
  expect(doc).toMatch(/-said-doc$/);
  expect(referencesOf(doc)).toMatch(/-dependency$/);
}, 60_000);

it("outputs that a builder does not submit, or under another name, are missing", () => {
  const fail = (script: string): string => {
    const { status, err } = t.run("nix-build", ["-E", submittingDerivation(script)], { env: SUBMITTING });
    expect(status).toBe(100);
    return err;
  };
  expect(fail("true")).toContain("failed to submit output path for 'doc'");
  const misnamed = "echo > text; nix store submit-output $(nix store add -n other ./text) doc";
  expect(fail(misnamed)).toMatch(/output 'doc' .* was named 'other', expected 'said-doc'/);
}, 60_000);
