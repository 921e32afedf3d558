import { describe, expect, it } from "vitest";
import {
  chooseAlternatives,
  parseAlternatives,
} from "../../../packages/debian/builders/environment/alternatives.ts";

describe("parseAlternatives", () => {
  it("reads calls with followers over several lines", () => {
    const script = `#!/bin/sh
      # update-alternatives --install /usr/bin/no no /usr/bin/nothing 1
      if [ "$1" = configure ]; then
        update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 \\
          --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz \\
          --slave "/usr/bin/nawk" nawk "/usr/bin/mawk"
      fi
      update-alternatives --remove awk /usr/bin/other`;
    expect(parseAlternatives(script, "mawk")).toEqual([
      {
        link: "/usr/bin/awk",
        name: "awk",
        target: "/usr/bin/mawk",
        priority: 5,
        followers: [
          {
            link: "/usr/share/man/man1/awk.1.gz",
            name: "awk.1.gz",
            target: "/usr/share/man/man1/mawk.1.gz",
          },
          { link: "/usr/bin/nawk", name: "nawk", target: "/usr/bin/mawk" },
        ],
      },
    ]);
  });

  it("unrolls loops over words and puts variables in", () => {
    const script = `LIBDIR=/usr/lib/x
priority=40
for tool in one two; do
  update-alternatives --install /usr/bin/$tool $tool $LIBDIR/\${tool}.real $priority
done`;
    expect(
      parseAlternatives(script, "x").map(({ link, target, priority }) => [link, target, priority]),
    ).toEqual([
      ["/usr/bin/one", "/usr/lib/x/one.real", 40],
      ["/usr/bin/two", "/usr/lib/x/two.real", 40],
    ]);
  });

  it("leaves out what it cannot know", () => {
    const script = `update-alternatives --install "$(find_link)" x /usr/bin/x 10
update-alternatives --install /usr/bin/y y $unknown 10
update-alternatives --install /usr/bin/../../etc/passwd z /usr/bin/z 10
update-alternatives --install /usr/bin/n n /usr/bin/m ten
update-alternatives --install`;
    expect(parseAlternatives(script, "x")).toEqual([]);
  });

  it("knows vim's, which its scripts compute", () => {
    const vi = parseAlternatives("", "vim-basic").find(({ link }) => link === "/usr/bin/vi");
    expect(vi?.target).toBe("/usr/bin/vim.basic");
  });
});

describe("chooseAlternatives", () => {
  it("takes the highest priority, the first of equals", () => {
    const one = (target: string, priority: number) => ({
      link: "/usr/bin/x",
      name: "x",
      target,
      priority,
      followers: [],
    });
    expect(
      chooseAlternatives([one("/a", 5), one("/b", 20), one("/c", 20)]).map(({ target }) => target),
    ).toEqual(["/b"]);
  });
});
