/** `callgate lxc learn`: starts a container, watches it until it ends, and writes a policy of what it did. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { release } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { compile, TooLargeError } from "../../compiler/index.ts";
import { hasErrors, renderDiagnostics, sanitise } from "../../diagnostics/index.ts";
import {
  addRules,
  historyOf,
  learnedRules,
  newPolicyText,
  type Observation,
  watchPolicy,
  withHistory,
} from "../../learn/index.ts";
import { filesOf, hasBlock, isSocketPath } from "../../lxc/block.ts";
import { readConfig } from "../../lxc/config.ts";
import { type Container, initOf } from "../../lxc/container.ts";
import { installLearning } from "../../lxc/install.ts";
import { learningProgram, type Protection, protectionOf } from "../../lxc/protection.ts";
import { wiringProblems } from "../../lxc/wiring.ts";
import type { Policy } from "../../policy/types.ts";
import { nativeProgram } from "../../sandbox/package-files.ts";
import { launcherProblem } from "../../sandbox/verify-launcher.ts";
import { type ContainerWatch, watchContainer } from "../../sandbox/watch-container.ts";
import { type AbiName, hostAbi, syscallByNumber } from "../../syscalls/index.ts";
import { hasOption, UsageError, valueOfOption } from "../arguments.ts";
import { policyToExtend, prepareOutput, writeOutput } from "../learn/output-file.ts";
import { printError, terminalOptions } from "../output.ts";
import type { LxcCommand } from "./command.ts";

export const learn: LxcCommand = async ({ parsed, operands, containers }) => {
  const [container, ...more] = containers(operands);
  if (container === undefined || more.length > 0) throw new UsageError("lxc learn takes one container");
  const native = hostAbi();
  if (native === undefined) return fail("this machine's system calls are not known");
  const damaged = launcherProblem() ?? launcherProblem("watcher");
  if (damaged !== undefined) return fail(damaged);
  const output = valueOfOption(parsed, "output") ?? join(container.folder, "learned.toml");
  const prepared = prepareOutput(output, hasOption(parsed, "force"));
  if (typeof prepared !== "string") return fail(prepared.problem);
  const protection = protectionFor(container);
  if (protection === undefined) return 2;
  if (initOf(container) !== undefined) return fail(`${container.name} runs: stop it first`);

  const start =
    prepared === "" ? newPolicyText(container.name, ["lxc-start", container.name], native) : prepared;
  const policy = policyToExtend(output, start, fail);
  if (policy === undefined) return 2;
  const filter = watchFilter(withRefusals(policy, protection.policy), native);
  if (filter === undefined) return 2;
  const program = learningProgram(readFileSync(nativeProgram("launcher")), protection, filter);
  const run = await watchStart(
    container,
    () => installLearning(container.folder, protection, program),
    filter,
  );
  if (run === undefined) return 2;
  return finish(container, { output, start, policy, native }, run);
};

/** What hands up calls to the watcher, which has one filter; undefined, with a message, where one is not enough. */
function watchFilter(policy: Policy, target: AbiName): Uint8Array | undefined {
  try {
    return compile(watchPolicy(policy, true), { target }).bytes;
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error;
    fail(`the policy is too large to be learned with: ${error.message}, and the watcher has one filter`);
    return undefined;
  }
}

function protectionFor(container: Container): Protection | undefined {
  const config = readConfig(container.configFile);
  if (!hasBlock(config.source.text)) {
    fail(`${container.name} is not protected: callgate lxc enable ${container.name}`);
    return undefined;
  }
  if (!isSocketPath(filesOf(container.folder).learn)) {
    fail(`the path of ${container.folder} is too long for a socket`);
    return undefined;
  }
  const { protection, diagnostics } = protectionOf(config, release());
  const found = [...diagnostics, ...wiringProblems(config, container.folder)];
  if (protection !== undefined && !hasErrors(found)) return protection;
  printError(
    renderDiagnostics(
      found.filter((one) => one.severity === "error"),
      terminalOptions(2),
    ),
  );
  return undefined;
}

/** What the container's statements refuse stays refused: that was somebody's decision. */
function withRefusals(policy: Policy, statements: Policy): Policy {
  const refusals = [...statements.syscalls.require, ...statements.syscalls.rules].filter(
    ({ action }) => action.kind !== "allow" && action.kind !== "log",
  );
  return { ...policy, syscalls: { ...policy.syscalls, rules: [...refusals, ...policy.syscalls.rules] } };
}

/** One start under the watcher, from lxc-start to the container's end. Undefined, with a message, where there was none. */
async function watchStart(
  { name, lxcpath, folder, ...rest }: Container,
  install: () => void,
  filter: Uint8Array,
): Promise<ContainerWatch | undefined> {
  const { learn: socket, init: program, profile } = filesOf(folder);
  const at = ["-P", lxcpath, "-n", name];
  rmSync(socket, { force: true });
  const server = await listen(socket);
  const stop = (): void => {
    say(`${name} is being stopped`);
    // Ten seconds for it to end by itself, which is learned from as well.
    spawn("lxc-stop", [...at, "-t", "10"], { stdio: "ignore" });
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let isStopping = false;
  const onSignal = (): void => {
    if (!isStopping) stop();
    isStopping = true;
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    install();
    const started = await run("lxc-start", at);
    const init = started === 0 ? initOf({ name, lxcpath, folder, ...rest }) : undefined;
    if (init === undefined) {
      fail(`${name} could not be started`);
      return undefined;
    }
    say(`${name} has been started and is watched; Ctrl-C stops it and ends learning`);
    const watched = await watchContainer(init, filter);
    if (watched.status !== 0) spawnSync("lxc-stop", [...at, "-k"], { stdio: "ignore" });
    return watched;
  } finally {
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

function run(command: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", reject);
    child.on("exit", resolve);
  });
}

interface Lesson {
  readonly output: string;
  readonly start: string;
  readonly policy: Policy;
  readonly native: AbiName;
}

function finish(
  container: Container,
  { output, start, policy, native }: Lesson,
  { observation, status }: ContainerWatch,
): number {
  if (status !== 0 && observation.handedUp === 0) return 2;
  const learned = learnedRules(observation, policy, native);
  const { runs, idle } = historyOf(start);
  const isNew = learned.rules.length > 0;
  const counted = withHistory(start, { runs: runs + 1, idle: isNew ? 0 : idle + 1 });
  const added = addRules({ name: output, text: counted }, learned);
  if (typeof added !== "string") return fail(`${sanitise(output)} cannot be added to: ${added.problem}`);
  const unwritten = writeOutput(output, added);
  if (unwritten !== undefined) return fail(unwritten);
  const seen = learned.rules.filter(({ isDerived }) => !isDerived).length;
  say(
    isNew
      ? `${sanitise(output)}: ${seen} ${seen === 1 ? "rule" : "rules"} for what was seen and ${learned.rules.length - seen} derived`
      : `nothing new: ${sanitise(output)} permits what ${container.name} did`,
  );
  sayLeftOut(observation);
  const near = relative(dirname(container.configFile), resolve(output));
  const named = near.startsWith("..") ? resolve(output) : near;
  say(`to enforce it: add the line syscall.policy = ${sanitise(named)} to ${container.configFile}`);
  return status === 0 ? 0 : 1;
}

function sayLeftOut({ calls, lost }: Observation): void {
  const unknown = calls.filter(({ abi, nr }) => syscallByNumber(abi, nr) === undefined);
  if (unknown.length > 0)
    say(`calls that no table knows: ${unknown.map(({ abi, nr }) => `${abi}:#${nr}`).join(", ")}`);
  if (lost.calls > 0 || lost.texts > 0)
    say(`not all was kept: ${lost.calls} calls and ${lost.texts} paths did not fit`);
}

function say(text: string): void {
  printError(`callgate lxc learn: ${text}\n`);
}

function fail(text: string): 2 {
  say(text);
  return 2;
}
