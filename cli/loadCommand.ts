import type { RunCommand } from "./invocation.ts";

/** What runs each command of the table; loaded only when it is run. */
const LOADERS: Readonly<Record<string, () => Promise<{ readonly run: RunCommand }>>> = {
  enter: () => import("./commands/enter.ts"),
  run: () => import("./commands/run.ts"),
  code: () => import("./commands/code.ts"),
  env: () => import("./commands/env.ts"),
  watch: () => import("./commands/watch.ts"),
  attributes: () => import("./commands/attributes.ts"),
  closure: () => import("./commands/closure.ts"),
  packages: () => import("./commands/packages.ts"),
  eval: () => import("./commands/eval.ts"),
  profile: () => import("./commands/profile.ts"),
  repl: () => import("./commands/repl.ts"),
  instantiate: () => import("./commands/instantiate.ts"),
  build: () => import("./commands/build.ts"),
  init: () => import("./commands/init.ts"),
  update: () => import("./commands/update.ts"),
  gc: () => import("./commands/gc.ts"),
  store: () => import("./commands/store.ts"),
  cache: () => import("./commands/cache.ts"),
  copy: () => import("./commands/copy.ts"),
  daemon: () => import("./commands/daemon.ts"),
  doctor: () => import("./commands/doctor.ts"),
  explain: () => import("./commands/explain.ts"),
  diff: () => import("./commands/diff.ts"),
  allow: () => import("./commands/allow.ts"),
  compat: () => import("./commands/compat.ts"),
  completion: () => import("./commands/completion.ts"),
  hook: () => import("./commands/hook.ts"),
};

export async function loadCommand(name: string): Promise<RunCommand> {
  const load = LOADERS[name];
  if (load === undefined) throw new Error(`the command ${name} is in the table but runs nothing`);
  return (await load()).run;
}
