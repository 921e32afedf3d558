import { splitLogin } from "./splitLogin.ts";

/** An address for Git's command line, and the variables that hold its login. */
export interface GitAddress {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
}

const ANSWER =
  '!f() { test "$1" != get || printf "username=%s\\npassword=%s\\n" "$DEVSHELL_GIT_USER" "$DEVSHELL_GIT_PASSWORD"; }; f';

/**
 * Has Git know a login of its server without reading it on a command line. Servers that this one sends Git to are not
 * told it, and none of the user's helpers keeps it.
 */
export function gitAddress(given: string): GitAddress {
  const { url, login } = splitLogin(given);
  if (login === undefined) return { url, env: {} };
  const { user, password } = login;
  const section = `credential.${/^[^:]+:\/\/[^/?#]*/.exec(url)?.[0] ?? url}`;
  if (password === undefined) return { url, env: settings([[`${section}.username`, user]]) };
  const helpers = [
    [`${section}.helper`, ""], // instead of those that the user has
    [`${section}.helper`, ANSWER],
  ] as const;
  return { url, env: { ...settings(helpers), DEVSHELL_GIT_USER: user, DEVSHELL_GIT_PASSWORD: password } };
}

/** Settings by variables, after those that are set so already. */
function settings(added: readonly (readonly [string, string])[]): Record<string, string> {
  const first = Number(process.env["GIT_CONFIG_COUNT"] ?? "") || 0;
  const env: Record<string, string> = { GIT_CONFIG_COUNT: `${first + added.length}` };
  for (const [index, [key, value]] of added.entries()) {
    env[`GIT_CONFIG_KEY_${first + index}`] = key;
    env[`GIT_CONFIG_VALUE_${first + index}`] = value;
  }
  return env;
}
