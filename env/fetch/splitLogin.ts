import { DevshellError, shownUrl } from "../../core/index.ts";

export interface Login {
  readonly user: string;
  /** Absent where only a user is named. */
  readonly password: string | undefined;
}

/** Takes the login out of a web address: a program's command line is for everybody to read. @throws {DevshellError} `FETCH_URL` */
export function splitLogin(given: string): { readonly url: string; readonly login: Login | undefined } {
  const match = /^(https?:\/\/)([^/?#]*)@(.*)$/is.exec(given);
  // Only the web takes passwords out of addresses.
  if (match === null)
    return { url: given.replace(/^([a-z+]+:\/\/[^/?#:@]*):[^/?#]*@/i, "$1@"), login: undefined };
  const [, scheme = "", login = "", rest = ""] = match;
  const at = login.indexOf(":");
  const user = decode(at < 0 ? login : login.slice(0, at), given);
  const password = at < 0 ? undefined : decode(login.slice(at + 1), given);
  return {
    url: `${scheme}${rest}`,
    login: user === "" && password === undefined ? undefined : { user, password },
  };
}

function decode(text: string, url: string): string {
  let decoded = text;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // taken as it stands
  }
  // In the protocols that logins are told by, a line is a line.
  if (/[\n\r\0]/.test(decoded))
    throw new DevshellError(
      "FETCH_URL",
      `Cannot fetch '${shownUrl(url)}': its login has a line break or a NUL`,
    );
  return decoded;
}
