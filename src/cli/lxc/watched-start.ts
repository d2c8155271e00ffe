/** One start of a container under the watcher that learns, from lxc-start to the container's end. */
import { spawn, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { filesOf } from "../../lxc/block.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { type ContainerWatch, type WatchJob, watchContainer } from "../../sandbox/watch-container.ts";

/** Why a start came to its end: by itself, by Ctrl-C, by another signal to callgate, or because its time was over. */
export type StartEnd = "by-itself" | "ctrl-c" | "signal" | "time";

export interface WatchedStart extends ContainerWatch {
  readonly end: StartEnd;
  /** From the first call until it ended or was to be stopped. */
  readonly seconds: number;
}

export interface StartOptions {
  readonly job: WatchJob;
  /** Writes the first program, and the profile, that LXC will find. */
  readonly install: () => void;
  /** The container is stopped after so many seconds; otherwise never. */
  readonly seconds?: number;
  readonly say: (text: string) => void;
  /** What is said when it has been started. */
  readonly started: string;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Undefined, with a message, where the container could not be started. */
export async function watchStart(
  container: Container,
  { job, install, seconds, say, started }: StartOptions,
): Promise<WatchedStart | undefined> {
  const { name, lxcpath, folder } = container;
  const { learn: socket, init: program, profile } = filesOf(folder);
  const at = ["-P", lxcpath, "-n", name];
  rmSync(socket, { force: true });
  const server = await listen(socket);
  let end: StartEnd = "by-itself";
  let stoppedAt: number | undefined;
  const stop = (why: StartEnd): void => {
    if (stoppedAt !== undefined) return;
    stoppedAt = performance.now();
    end = why;
    say(`${name} is being stopped`);
    // Ten seconds for it to end by itself, which is learned from as well.
    spawn("lxc-stop", [...at, "-t", "10"], { stdio: "ignore" });
  };
  const onSignal = (signal: NodeJS.Signals): void => stop(signal === "SIGINT" ? "ctrl-c" : "signal");
  for (const signal of signals) process.on(signal, onSignal);
  let timer: NodeJS.Timeout | undefined;
  try {
    install();
    const status = await run("lxc-start", at);
    const init = status === 0 ? initOf(container) : undefined;
    if (init === undefined) {
      say(`${name} could not be started`);
      return undefined;
    }
    say(started);
    const begin = performance.now();
    if (seconds !== undefined) timer = setTimeout(stop, seconds * 1000, "time");
    const watched = await watchContainer(init, job);
    if (watched.status !== 0) spawnSync("lxc-stop", [...at, "-k"], { stdio: "ignore" });
    return { ...watched, end, seconds: ((stoppedAt ?? performance.now()) - begin) / 1000 };
  } finally {
    clearTimeout(timer);
    for (const signal of signals) process.off(signal, onSignal);
    server.close();
    // Whatever starts the container next makes its own.
    for (const file of [socket, program, profile]) rmSync(file, { force: true });
  }
}

/** The pre-start hook finds somebody here, and leaves the start as it was prepared. */
function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => void socket.on("error", () => socket.destroy()).destroy());
    server.on("error", reject);
    server.listen(path, () => resolve(server));
  });
}

/** Standard output is for what learning came to. */
function run(command: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", 2, 2] });
    child.on("error", reject);
    child.on("exit", resolve);
  });
}
