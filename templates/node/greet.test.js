import assert from "node:assert/strict";
import { test } from "node:test";
import { greet } from "./greet.js";

test("greets everyone", () => {
  assert.equal(greet(["Ada", "Grace"]), "Hello, Ada!\nHello, Grace!");
});
