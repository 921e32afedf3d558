/** A URL as messages and logs have it: without its login, for a token may be the user's name. */
export function shownUrl(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1");
}

/** What another program said, with its URLs as {@link shownUrl} has them. */
export function withoutLogins(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^/?#\s'"]*@/gi, "$1");
}
