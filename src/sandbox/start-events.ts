/**
 * The events of a child process that begins as the launcher: `spawn` only when the program runs, `error` when it does
 * not, and nothing of the launcher's own end.
 */
import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { readReport, type StartReport } from "./report.ts";
import type { StartFailure } from "./sandbox-error.ts";

/** How a failed start becomes an error. */
export type ErrorOf = (failure: StartFailure) => Error;

/** What the program could cause only when it runs, and so waits for the news that it does. */
const heldEvents: readonly (string | symbol)[] = ["exit", "close", "message", "disconnect"];

/**
 * Keeps back what comes on a stream, so that no output is seen before `spawn`; the stream takes no more than one
 * piece meanwhile. Gives what lets it go.
 */
function holdData(stream: Socket): () => void {
  const { push } = stream;
  const chunks: unknown[] = [];
  stream.push = (chunk: unknown): boolean => {
    chunks.push(chunk);
    return false;
  };
  return () => {
    stream.push = push;
    for (const chunk of chunks) stream.push(chunk);
  };
}

/**
 * Holds the events of `child` until the launcher's report is there. `explain` turns Node's own error of a start that
 * failed before the launcher ran into ours.
 */
export function holdEvents(
  child: ChildProcess,
  reports: Socket | undefined,
  explain: (error: Error) => Error,
  errorOf: ErrorOf,
): void {
  const emit = child.emit.bind(child);
  const held: { readonly event: string | symbol; readonly args: readonly unknown[] }[] = [];
  let state: "starting" | "silent" | "started" | "failed" = "starting";
  let hasError = false;
  const streams = reports === undefined ? [] : child.stdio.filter((stream) => stream instanceof Socket);
  const letGo = streams.map(holdData);

  function release(): void {
    for (const go of letGo.splice(0)) go();
    for (const { event, args } of held.splice(0))
      if (event !== "exit" || state !== "failed") emit(event, ...args);
  }

  function fail(failure: StartFailure): void {
    state = "failed";
    if (!hasError) child.emit("error", errorOf(failure));
    release();
  }

  /** The launcher ended without a word: by a signal it is as if the program had been killed before its first step. */
  function endedSilently(code: unknown): void {
    if (typeof code === "number" && !hasError) {
      const message = `the launcher ended with status ${code} before it had begun: something around callgate keeps it from running`;
      fail({ step: "launcher", errno: 0, message });
      return;
    }
    state = "started";
    release();
  }

  function settle(report: StartReport): void {
    if (state !== "starting") return;
    if (report.kind === "failed") {
      fail(report.failure);
    } else if (report.kind === "started") {
      state = "started";
      emit("spawn");
      release();
    } else {
      state = "silent";
      const exit = held.find(({ event }) => event === "exit");
      if (exit !== undefined) endedSilently(exit.args[0]);
    }
  }

  child.emit = (event: string | symbol, ...args: readonly unknown[]): boolean => {
    if (event === "error") {
      hasError = true;
      const [error] = args;
      if (!isSpawnError(error) || state === "failed") return emit(event, ...args);
      state = "failed";
      return emit(event, explain(error));
    }
    if (state === "started") return emit(event, ...args);
    if (event === "spawn" || (event === "exit" && state === "failed")) return false;
    if (state === "failed" || !heldEvents.includes(event)) return emit(event, ...args);
    held.push({ event, args });
    if (event === "exit" && state === "silent") endedSilently(args[0]);
    return true;
  };

  if (reports === undefined) return;
  const chunks: Buffer[] = [];
  const finish = (): void => settle(readReport(Buffer.concat(chunks)));
  reports.on("data", (chunk: Buffer) => chunks.push(chunk));
  reports.once("end", finish);
  // Also where the launcher was killed while it read its plan, which is an error of the socket.
  reports.once("close", finish);
  reports.on("error", () => reports.destroy());
}

function isSpawnError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    "syscall" in error &&
    typeof error.syscall === "string" &&
    error.syscall.startsWith("spawn")
  );
}
