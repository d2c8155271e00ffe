// A host and its plugin, a process of its own that talks by messages: `ipc`, as between Node and a forked child.
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { prepare, spawn } from "callgate";

const plan = prepare({
  version: 1,
  extends: ["default"],
  syscalls: { rules: "deny socket(domain != AF_UNIX), execve  # a plugin neither connects nor starts programs" },
});
const plugin = spawn(process.execPath, [fileURLToPath(new URL("plugin-host-plugin.mjs", import.meta.url))], {
  policy: plan,
  stdio: ["ignore", "inherit", "inherit", "ipc"],
});
const ask = async (message) => {
  plugin.send(message);
  const [answer] = await once(plugin, "message");
  return answer;
};
console.log("title:", await ask({ call: "title", text: "system calls of a plugin" }));
console.log("connect:", await ask({ call: "connect" }));
console.log("start:", await ask({ call: "start" }));
plugin.disconnect();
const [exitCode] = await once(plugin, "exit");
console.log("the plugin ended with", exitCode);
