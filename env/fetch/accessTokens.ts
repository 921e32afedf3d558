import { DevshellError } from "../../core/index.ts";

type Headers = Readonly<Record<string, string>>;

/** How each forge wants a token said. */
const FORMS: Readonly<Record<string, (token: string, warn: (message: string) => void) => Headers>> = {
  github: (token) => ({ authorization: `token ${token}` }),
  gitlab: gitlabHeaders,
  sourcehut: (token) => ({ authorization: `Bearer ${token}` }),
};

/**
 * What a forge is told so that it gives what is not public.
 * @param tokens the setting `access-tokens`: `HOST=TOKEN HOST/OWNER=TOKEN …`
 * @param place `HOST/OWNER/REPO`: the longest beginning that a token names counts
 * @returns nothing where no token is for it
 */
export function accessHeaders(
  type: string,
  place: string,
  tokens: string,
  warn: (message: string) => void,
): Headers | undefined {
  let best: { readonly length: number; readonly token: string } | undefined;
  for (const word of tokens.split(/\s+/)) {
    if (word === "") continue;
    const equals = word.indexOf("=");
    if (equals < 0)
      throw new DevshellError(
        "STORE_CONFIG_INVALID",
        "Cannot read the setting 'access-tokens': a word has no '='",
        {
          hint: "it is a list of HOST=TOKEN",
        },
      );
    const start = word.slice(0, equals);
    if (place !== start && !place.startsWith(`${start}/`)) continue;
    if (best === undefined || start.length >= best.length)
      best = { length: start.length, token: word.slice(equals + 1) };
  }
  return best === undefined ? undefined : FORMS[type]?.(best.token, warn);
}

/** `OAuth2:…` or `PAT:…`; anything else is a header's name and value. */
function gitlabHeaders(token: string, warn: (message: string) => void): Headers {
  const colon = token.indexOf(":");
  const kind = colon < 0 ? token : token.slice(0, colon);
  const value = token.slice(colon + 1);
  if (kind === "OAuth2") return { authorization: `Bearer ${value}` };
  if (kind === "PAT") return { "private-token": value };
  // The token itself is not shown.
  warn(colon < 0 ? "Unrecognized GitLab token type" : `Unrecognized GitLab token type ${kind}`);
  return colon < 0 ? {} : { [kind]: value };
}
