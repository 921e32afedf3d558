import { describe, expect, it } from "vitest";
import { authorise } from "../../../store/daemon/authorise.ts";
import { changeConfig, readStoreConfig } from "../../../store/settings.ts";

const DATABASE = {
  users: [
    { name: "root", uid: 0 },
    { name: "alice", uid: 1000 },
    { name: "bob", uid: 1001 },
  ],
  groups: [
    { name: "root", gid: 0, members: [] },
    { name: "users", gid: 100, members: [] },
    { name: "wheel", gid: 10, members: ["alice"] },
    { name: "nixbld", gid: 30000, members: [] },
  ],
};
const config = (changes: Readonly<Record<string, string>>) =>
  changeConfig(readStoreConfig({ HOME: "/nowhere" }, "/nowhere"), Object.entries(changes));
const peer = (uid: number, gid = 100) => ({ pid: 1, uid, gid });

describe("who may do what", () => {
  it("only root is trusted unless more are named", () => {
    expect(authorise(peer(0, 0), config({}), DATABASE)).toEqual({ userName: "root", isTrusted: true });
    expect(authorise(peer(1000), config({}), DATABASE)).toEqual({ userName: "alice", isTrusted: false });
  });

  it("users are named, and groups by @, of which they are members or which are their own", () => {
    const byName = config({ "trusted-users": "root bob" });
    expect(authorise(peer(1001), byName, DATABASE).isTrusted).toBe(true);
    expect(authorise(peer(1000), byName, DATABASE).isTrusted).toBe(false);
    expect(authorise(peer(1000), config({ "trusted-users": "@wheel" }), DATABASE).isTrusted).toBe(true);
    expect(authorise(peer(1001), config({ "trusted-users": "@users" }), DATABASE).isTrusted).toBe(true);
    expect(authorise(peer(1001), config({ "trusted-users": "@wheel" }), DATABASE).isTrusted).toBe(false);
  });

  it("users without a name are known by their number", () => {
    expect(authorise(peer(4242), config({ "trusted-users": "4242" }), DATABASE)).toEqual({
      userName: "4242",
      isTrusted: true,
    });
  });

  it("others than the allowed are refused, trusted ones never", () => {
    const some = config({ "allowed-users": "bob", "trusted-users": "alice" });
    expect(authorise(peer(1001), some, DATABASE).isTrusted).toBe(false);
    expect(authorise(peer(1000), some, DATABASE).isTrusted).toBe(true);
    expect(() => authorise(peer(4242), some, DATABASE)).toThrow("user '4242' is not allowed");
  });

  it("builders' users are refused", () => {
    expect(() => authorise(peer(30001, 30000), config({ "build-users-group": "nixbld" }), DATABASE)).toThrow(
      "not allowed to connect",
    );
  });

  it("nobody knows who: never trusted, and allowed only where all are", () => {
    expect(authorise(undefined, config({}), DATABASE)).toEqual({ userName: undefined, isTrusted: false });
    expect(() => authorise(undefined, config({ "allowed-users": "bob" }), DATABASE)).toThrow("<unknown>");
  });
});
