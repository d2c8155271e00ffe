/** Who is there for a container now: `callgate lxc watch`, or `callgate lxc learn`. */
import { existsSync } from "node:fs";
import { errorCode } from "../diagnostics/error-code.ts";
import { filesOf, isSocketPath } from "./block.ts";

/** A watcher's socket has another type than Node's: the kernel says so, and the watcher is not troubled. */
export async function hasWatcher(folder: string): Promise<boolean> {
  return (await answerAt(filesOf(folder).watch)) === "EPROTOTYPE";
}

/** Whether the start that is being made is one to learn from: then everything is prepared for it. */
export async function hasLearner(folder: string): Promise<boolean> {
  return (await answerAt(filesOf(folder).learn)) === "connected";
}

function answerAt(path: string): Promise<string> {
  if (!isSocketPath(path)) return Promise.resolve("too long");
  if (!existsSync(path)) return Promise.resolve("ENOENT");
  // Asked for where it is needed: it costs a start some milliseconds.
  const { createConnection } = process.getBuiltinModule("node:net");
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const answer = (text: string): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on("connect", () => answer("connected"));
    socket.on("error", (error) => answer(errorCode(error) ?? error.message));
  });
}
