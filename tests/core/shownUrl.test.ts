import { expect, it } from "vitest";
import { shownUrl, withoutLogins } from "../../core/index.ts";

it.each([
  ["https://me:s3cret@example.org/x", "https://example.org/x"],
  ["https://:token@example.org:8080", "https://example.org:8080"],
  ["https://token@example.org/a:b@c", "https://example.org/a:b@c"],
  ["git+ssh://me:a@b@example.org/x", "git+ssh://example.org/x"],
  ["https://example.org:8080/?to=a:b@c", "https://example.org:8080/?to=a:b@c"],
  ["https://[::1]/x@y", "https://[::1]/x@y"],
  ["file:///tmp/a:b@c", "file:///tmp/a:b@c"],
  ["no URL: a:b@c", "no URL: a:b@c"],
])("shows %s as %s", (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});

it("takes logins out of what others say", () => {
  const said = "fatal: 'https://token@a.org/x' moved to git+http://me:pw@b.org, ask me@c.org";
  expect(withoutLogins(said)).toBe("fatal: 'https://a.org/x' moved to git+http://b.org, ask me@c.org");
});
