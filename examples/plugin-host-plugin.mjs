// The plugin of plugin-host.mjs: does what it is asked, and what a bad one would try.
import { spawnSync } from "node:child_process";
import { connect } from "node:net";

const calls = {
  title: async ({ text }) => text.replace(/\b\w/g, (letter) => letter.toUpperCase()),
  connect: () =>
    new Promise((resolve) => {
      const socket = connect(80, "127.0.0.1");
      socket.on("connect", () => resolve("connected")).on("error", (error) => resolve(error.code));
    }),
  start: async () => spawnSync("/bin/true").error?.code ?? "started",
};
process.on("message", async (message) => process.send(await calls[message.call](message)));
