import { expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { narOfBytes } from "../../../store/format/nar.ts";
import { WireWriter } from "../../../store/protocol/wire.ts";
import { SERVE_CLIENT_MAGIC, SERVE_COMMAND } from "../../../store/ssh/serveProtocol.ts";
import { Random, mutate } from "../mutate.ts";
import { StorePair } from "./storePair.ts";

/** How long mutations are tried, in seconds; a hunt takes `DEVSHELL_MUTATIONS_SECONDS=600`. */
const SECONDS = Number(process.env["DEVSHELL_MUTATIONS_SECONDS"] ?? "2");
const SEED = Number(process.env["DEVSHELL_MUTATIONS_SEED"] ?? "1");
const QUIET_MS = 15;

it(
  "nix-store --serve without --write changes nothing, whatever is sent",
  { timeout: SECONDS * 1000 + 60_000 },
  async () => {
    await using pair = StorePair.create();
    const { there } = pair;
    const held = there.addText("held", "content", []);
    const nar = narOfBytes(Buffer.from("evil"));
    const command = (name: keyof typeof SERVE_COMMAND): WireWriter =>
      new WireWriter().number(SERVE_COMMAND[name]);
    const incoming = (writer: WireWriter): WireWriter =>
      writer
        .string(`${there.storeDir}/${"0".repeat(32)}-evil`)
        .string("")
        .string(hashBytes("sha256", nar).digest.toString("hex"))
        .strings([held])
        .number(0)
        .number(nar.length)
        .number(1)
        .strings(["key:c2ln"])
        .string("");
    const sent = [
      command("queryValidPaths").number(1).number(1).strings([held]).take(),
      command("queryPathInfos").strings([held]).take(),
      command("dumpStorePath").string(held).take(),
      command("queryClosure").number(0).strings([held]).take(),
      command("buildPaths")
        .strings([held])
        .number(0)
        .number(0)
        .number(0)
        .number(0)
        .number(0)
        .number(0)
        .take(),
      Buffer.concat([command("importPaths").number(1).take(), nar]),
      Buffer.concat([incoming(command("addToStoreNar")).take(), nar]),
    ];
    const hello = new WireWriter().number(SERVE_CLIENT_MAGIC).number(0x208).take();
    const random = new Random(SEED);
    const end = Date.now() + SECONDS * 1000;
    for (let rounds = 0; Date.now() < end || rounds < 20; rounds++) {
      const channel = pair.connect({ isWritable: false });
      let isQuiet = false;
      const ended = new Promise<boolean>((resolve) => {
        for (const event of ["end", "close", "error"]) channel.input.once(event, () => resolve(true));
      });
      channel.input.on("data", () => (isQuiet = false));
      const some = Array.from({ length: 1 + random.below(3) }, () => random.of(sent));
      const body = mutate(Buffer.concat(some), random, Object.values(SERVE_COMMAND));
      channel.output.write(Buffer.concat([hello, body]));
      for (let hasEnded = false; !hasEnded && !isQuiet;) {
        isQuiet = true;
        const pause = new Promise<boolean>((resolve) => void setTimeout(() => resolve(false), QUIET_MS));
        hasEnded = await Promise.race([ended, pause]);
      }
      await channel[Symbol.asyncDispose]();
    }
    expect(there.allValidPaths()).toEqual([held]);
    expect((await there.verify({ checkContents: true })).problems).toEqual([]);
  },
);
