import { expect, it } from "vitest";
import { shownUrl } from "../../io/index.ts";

it.each([
  ["https://me:s3cret@example.org/x", "https://me:***@example.org/x"],
  ["https://:token@example.org:8080", "https://:***@example.org:8080"],
  ["git+ssh://me:a@b@example.org/x", "git+ssh://me:***@example.org/x"],
  ["https://me@example.org/a:b@c", "https://me@example.org/a:b@c"],
  ["https://example.org:8080/?to=a:b@c", "https://example.org:8080/?to=a:b@c"],
  ["https://[::1]/x@y", "https://[::1]/x@y"],
  ["file:///tmp/a:b@c", "file:///tmp/a:b@c"],
  ["no URL: a:b@c", "no URL: a:b@c"],
])("shows %s as %s", (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});
