import { describe, expect, it } from "vitest";
import { accessHeaders } from "../../env/fetch/accessTokens.ts";
import { archiveUrlOf } from "../../env/fetch/forges.ts";

const rev = "b7d54341d9d337d671e64f79855af42836ccb4a1";

describe("a forge's archive of a revision", () => {
  it.each([
    [{ type: "github", owner: "o", repo: "r" }, `https://github.com/o/r/archive/${rev}.tar.gz`],
    [
      { type: "github", owner: "o", repo: "r", host: "git.example.org" },
      `https://git.example.org/api/v3/repos/o/r/tarball/${rev}`,
    ],
    [
      { type: "gitlab", owner: "group/sub", repo: "r" },
      `https://gitlab.com/api/v4/projects/group%2Fsub%2Fr/repository/archive.tar.gz?sha=${rev}`,
    ],
    [{ type: "sourcehut", owner: "~u", repo: "r" }, `https://git.sr.ht/~u/r/archive/${rev}.tar.gz`],
  ])("%j", (attributes, url) => {
    expect(archiveUrlOf(new Map(Object.entries({ ...attributes, rev })))).toBe(url);
  });

  it("is GitHub's other one for those who have a token", () => {
    const attributes = new Map(Object.entries({ type: "github", owner: "o", repo: "r", rev }));
    expect(archiveUrlOf(attributes, true)).toBe(`https://api.github.com/repos/o/r/tarball/${rev}`);
  });

  it("has owners and repositories that stay one part of its path", () => {
    const of = (owner: string): string =>
      archiveUrlOf(new Map(Object.entries({ type: "github", owner, repo: "r", rev })));
    expect(of("a/../b?c#d")).toBe(`https://github.com/a%2F..%2Fb%3Fc%23d/r/archive/${rev}.tar.gz`);
    expect(() => of("..")).toThrow(/Cannot fetch: 'owner' is '\.\.'/);
  });
});

describe("access tokens", () => {
  const warnings: string[] = [];
  const of = (type: string, place: string, tokens: string): unknown =>
    accessHeaders(type, place, tokens, (message) => warnings.push(message));

  it("are the longest that fit, in each forge's form", () => {
    const tokens = "github.com=one github.com/o=two github.com/o/r2=three gitlab.com=PAT:four";
    expect(of("github", "github.com/o/r", tokens)).toEqual({ authorization: "token two" });
    expect(of("github", "github.com/o/r2", tokens)).toEqual({ authorization: "token three" });
    expect(of("github", "github.com/other/r", tokens)).toEqual({ authorization: "token one" });
    expect(of("github", "github.company/o/r", tokens)).toBeUndefined();
    expect(of("gitlab", "gitlab.com/o/r", tokens)).toEqual({ "private-token": "four" });
    expect(of("gitlab", "h/o/r", "h=OAuth2:x:y")).toEqual({ authorization: "Bearer x:y" });
    expect(of("sourcehut", "git.sr.ht/~u/r", "git.sr.ht=z")).toEqual({ authorization: "Bearer z" });
  });

  it("are never shown", () => {
    warnings.length = 0;
    expect(of("gitlab", "h/o/r", "h=secret")).toEqual({});
    expect(of("gitlab", "h/o/r", "h=name:secret")).toEqual({ name: "secret" });
    expect(warnings.join("\n")).not.toContain("secret");
    expect(() => of("github", "h/o/r", "secret")).toThrow(/a word has no '='/);
  });
});
