/** `callgate lxc watch`: what containers are refused, as it happens. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { release } from "node:os";
import { describeDenial } from "../../denials/index.ts";
import { hasErrors, sanitise } from "../../diagnostics/index.ts";
import { filesOf, hasBlock } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { encodeDenials } from "../../lxc/denials-file.ts";
import { readState } from "../../lxc/install.ts";
import { protectionOf, unwatchableOfUsers } from "../../lxc/protection.ts";
import { readWatchRecords, type WatchEvent } from "../../lxc/watch-records.ts";
import { WatchedContainer, type WatchedDenial } from "../../lxc/watched-container.ts";
import { nativeProgram } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { hasOption, UsageError } from "../arguments.ts";
import { print, printError } from "../output.ts";
import { writeFile } from "../replace-file.ts";
import type { LxcCommand } from "./command.ts";

/** The counts are written at most this often, in milliseconds. */
const countsEvery = 1000;

export const watch: LxcCommand = ({ parsed, operands, containers }) => {
  const chosen = containers(operands);
  if (chosen.length === 0) throw new UsageError("there is no container to watch");
  const broken = launcherProblem("proxy");
  if (broken !== undefined) return refuse(broken);
  for (const container of chosen) {
    const problem = watchProblem(container);
    if (problem !== undefined) return refuse(`${container.name} cannot be watched: ${problem}`);
  }
  return serve(chosen, hasOption(parsed, "json"));
};

function refuse(why: string): number {
  printError(`callgate lxc watch: ${why}\n`);
  return 2;
}

function watchProblem(container: Container): string | undefined {
  const { name, configFile } = container;
  const config = readConfig(configFile);
  if (statSync(configFile).uid !== 0) return unwatchableOfUsers;
  if (!hasBlock(config.source.text)) return `nothing enforces its statements: callgate lxc enable ${name}`;
  const { protection, diagnostics } = protectionOf(config, release());
  if (protection === undefined || hasErrors(diagnostics))
    return `its statements have mistakes: callgate lxc check ${name}`;
  initOf(container); // nobody waits for a start that LXC is not there to make
  return protection.unwatchable;
}

async function serve(chosen: readonly Container[], json: boolean): Promise<number> {
  const watched = chosen.map((container) => new WatchedContainer(container));
  const child = spawn(
    nativeProgram("proxy"),
    chosen.map(({ folder }) => folder),
    { stdio: ["ignore", "inherit", "inherit", "pipe"] },
  );
  const stream = child.stdio[3];
  if (!(stream instanceof Socket)) throw new Error("the watcher has no channel");
  const changed = new Set<WatchedContainer>();
  const saving = setInterval(() => save(changed), countsEvery);
  const stop = (): void => void stream.end().destroy();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
  for (const signal of signals) process.on(signal, stop);
  let isListening = false;
  let rest: Uint8Array = new Uint8Array();
  stream.on("error", () => stream.destroy());
  const take = (chunk: Buffer): void => {
    const read = readWatchRecords(Buffer.concat([rest, chunk]));
    rest = read.rest;
    for (const event of read.events) {
      if (event.kind === "listening") {
        isListening = true;
        announce(chosen);
        continue;
      }
      const one = watched[event.container];
      if (one === undefined) continue;
      const found = one.take(event);
      changed.add(one);
      tell(one, event, found, json);
    }
  };
  let failure: { readonly error: unknown } | undefined;
  stream.on("data", (chunk: Buffer) => {
    // Who reads what is told may go, or the disk be full: the watch ends as by a signal, and then says so.
    try {
      if (failure === undefined) take(chunk);
    } catch (error) {
      failure = { error };
      stop();
    }
  });
  const status = await ended(child);
  clearInterval(saving);
  for (const signal of signals) process.off(signal, stop);
  save(changed);
  if (!isListening && failure === undefined) return status === 0 ? 2 : status;
  for (const { folder } of chosen) rmSync(filesOf(folder).watch, { force: true });
  if (failure !== undefined) throw failure.error;
  for (const one of watched) sumUp(one, json);
  if (status === 0) return 0;
  printError("callgate lxc watch: the part that answers was ended: what is refused gets ENOSYS now\n");
  return 1;
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** What is running was started with a watcher, or cannot be watched before its next start. */
function announce(chosen: readonly Container[]): void {
  printError(`watching ${chosen.map(({ name }) => name).join(", ")}; Ctrl-C ends it\n`);
  for (const container of chosen)
    if (initOf(container) !== undefined && readState(container.folder)?.watched !== true)
      printError(
        `${container.name}: it was started without a watcher, and is watched from its next start on\n`,
      );
}

function tell(
  { container, policy }: WatchedContainer,
  event: Exclude<WatchEvent, { readonly kind: "listening" }>,
  found: WatchedDenial | undefined,
  json: boolean,
): void {
  const { name } = container;
  if (event.kind === "refused") {
    printError(`${name}: its monitor was sent away: ${filesOf(container.folder).answers} cannot be read\n`);
    return;
  }
  if (json) {
    if (found !== undefined) print(`${JSON.stringify(factsOf(name, "denied", found))}\n`);
    else if (event.kind === "started" || event.kind === "gone")
      print(`${JSON.stringify({ container: name, event: event.kind })}\n`);
    return;
  }
  if (event.kind === "started") print(`${name}: started, and watched\n`);
  if (event.kind === "gone") print(`${name}: ended\n`);
  if (found === undefined) return;
  if (found.denial === undefined || policy === undefined)
    print(
      `${name}  denied  ${found.text}   by ${sanitise(found.raw.program)}[${found.raw.pid}]\n        by statements that have changed since its start\n`,
    );
  else print(`${name}  ${describeDenial(found.denial, policy)}`);
}

function factsOf(container: string, event: "denied" | "total", { raw, text, denial }: WatchedDenial): object {
  const { abi, nr, pid, program, count } = raw;
  const { syscall = null, errno = null, by = null, rule = null, permit = null } = denial ?? {};
  return { container, event, count, abi, nr, syscall, text, errno, by, rule, permit, program, pid };
}

function sumUp(one: WatchedContainer, json: boolean): void {
  const { name } = one.container;
  if (json) {
    for (const denial of one.denials) print(`${JSON.stringify(factsOf(name, "total", denial))}\n`);
    return;
  }
  const { total, calls } = one.counts;
  const listed = calls.map(({ syscall, count }) => `${syscall} ×${count}`).join(", ");
  print(`${name}: ${total} denied${listed === "" ? "" : `: ${listed}`}\n`);
}

function save(changed: Set<WatchedContainer>): void {
  for (const one of changed) {
    const { denials } = filesOf(one.container.folder);
    const failure = writeFile(denials, encodeDenials(one.counts));
    if (failure !== undefined) printError(`callgate lxc watch: cannot write ${denials}: ${failure}\n`);
  }
  changed.clear();
}
