/** Whether `callgate lxc watch` serves a container now. */
import { createConnection } from "node:net";
import { filesOf, isSocketPath } from "./block.ts";

/** A watcher's socket has another type than Node's: the kernel says so, and the watcher is not troubled. */
export function hasWatcher(folder: string): Promise<boolean> {
  const { watch } = filesOf(folder);
  if (!isSocketPath(watch)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = createConnection(watch);
    const answer = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.on("connect", () => answer(false));
    socket.on("error", (error) => answer("code" in error && error.code === "EPROTOTYPE"));
  });
}
