import { describe, expect, it } from "vitest";
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

  it("has owners and repositories that stay one part of its path", () => {
    const of = (owner: string): string =>
      archiveUrlOf(new Map(Object.entries({ type: "github", owner, repo: "r", rev })));
    expect(of("a/../b?c#d")).toBe(`https://github.com/a%2F..%2Fb%3Fc%23d/r/archive/${rev}.tar.gz`);
    expect(() => of("..")).toThrow(/Cannot fetch: 'owner' is '\.\.'/);
  });
});
