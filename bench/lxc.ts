/**
 * What callgate adds to the start of a container: until the container's init runs its first instruction, with LXC's common
 * profile alike, by the clock and by the processor's time of all that the start takes. Beside it what LXC takes for two
 * hooks that do nothing, and one start of Node.
 *
 * Two things would make a comparison unfair. A monitor goes on after lxc-stop has returned, and takes its groups away
 * under the next start's: `container.c` waits for all of it. And for a while after one start the kernel moves processes
 * between groups without waiting for a grace period of RCU, which is a third of a start or more: so either every start comes
 * after a pause, as people's do, or every one at once after a plain start that is not counted. The order is another one in
 * each round. `nice -n -20` helps; under real-time priority the kernel refuses LXC's cgroups.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  type Container,
  createContainer,
  createLxcpath,
  noContainers,
  putProgram,
} from "../tests/lxc/containers.ts";
import { printStarts, type StartTime } from "./harness.ts";
import { buildProgram } from "./others.ts";

const rounds = 31;
/** The first rounds are for what is kept from start to start. */
const idleRounds = 2;
const pauseMilliseconds = 150;
/** Files are only kept as unchanged when they have been so for a while. */
const settleMilliseconds = 2000;

interface Kind {
  readonly name: string;
  readonly container: Container;
  /** What changes before each start. */
  readonly change?: (round: number) => void;
}

interface Measured {
  readonly ran: number;
  readonly used: number;
}

export function printContainers(): void {
  if (noContainers !== false) {
    console.log(`\nno rows for containers: ${noContainers}`);
    return;
  }
  const folder = createLxcpath();
  const program = buildProgram(folder, "container", "-static");
  if (program === undefined) throw new Error("npm run bench needs gcc");
  const [plain, hooks, same, comment, line, statement] = [1, 2, 3, 4, 5, 6].map(() => prepared(program));
  if (!plain || !hooks || !same || !comment || !line || !statement) return;
  hooks.configure(
    `${hooks.config()}lxc.hook.pre-start = /bin/busybox true\nlxc.hook.start-host = /bin/busybox true\n`,
  );
  for (const { callgate, configure, config, name } of [same, comment, line, statement]) {
    configure(`${config()}syscall.deny = keyctl\n`);
    const enabled = callgate("enable", name);
    if (enabled.status !== 0) throw new Error(enabled.stderr);
  }
  const kinds: readonly Kind[] = [
    { name: "lxc-start", container: plain },
    { name: "lxc-start with two hooks that do nothing", container: hooks },
    { name: "with callgate, nothing changed", container: same },
    {
      name: "with callgate, another comment",
      container: comment,
      change: () => comment.configure(`${comment.config()}# and another line\n`),
    },
    {
      name: "with callgate, another line of LXC's",
      container: line,
      change: (round) =>
        line.configure(
          line.config().replace(/^lxc.tty.max = .*/m, `lxc.tty.max = ${round % 2 === 0 ? 4 : 5}`),
        ),
    },
    {
      name: "with callgate, a statement changed",
      container: statement,
      change: (round) =>
        statement.configure(
          statement.config().replace(/deny = .*/, `deny = keyctl${round % 2 === 0 ? ", add_key" : ""}`),
        ),
    },
  ];
  pause(settleMilliseconds);
  // Something is kept of each before anything changes.
  for (const { container } of kinds) measure(program, startOf(container));
  const node: Measured[] = [];
  for (const afterPause of [true, false]) {
    const measured = kinds.map(() => [] as Measured[]);
    for (let round = -idleRounds; round < rounds; round += 1) {
      for (const index of shuffled([...kinds.keys()])) {
        const { container, change } = kinds[index] ?? { container: plain };
        change?.(round);
        if (afterPause) pause(pauseMilliseconds);
        else measure(program, startOf(plain));
        const one = measure(program, startOf(container));
        if (round >= 0) measured[index]?.push(one);
      }
      if (afterPause && round >= 0) node.push(measure(program, ["-", process.execPath, "-e", "0"]));
    }
    const title = afterPause
      ? `start of a busybox container, after a pause of ${pauseMilliseconds} ms`
      : "the same, at once after another container's start and end";
    const rows = (what: keyof Measured): readonly StartTime[] =>
      [...kinds.map(({ name }) => name), "one start of Node"].map((name, index) =>
        timesOf(
          name,
          (measured[index] ?? node).map((one) => one[what]),
        ),
      );
    printStarts(`${title}, ${rounds} rounds`, rows("ran"), goalsFor(rows("ran")));
    printStarts("  its processor time, from start to end", rows("used"), goalsFor(rows("used")));
  }
}

/** A container whose init says when it ran. */
function prepared(program: string): Container {
  const container = createContainer({
    config: "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\nlxc.init.cmd = /first /started\n",
  });
  putProgram(container, program, "first");
  const made = spawnSync("mkfifo", [fifoOf(container)]);
  if (made.status !== 0) throw new Error(`mkfifo: ${made.stderr}`);
  return container;
}

const fifoOf = ({ rootfs }: Container): string => join(rootfs, "started");
const startOf = (container: Container) => [fifoOf(container), container.lxcpath, container.name];

/** NODE_EXTRA_CA_CERTS and the like make a Node that does nothing several times slower. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NODE_")));

function measure(program: string, args: readonly string[]): Measured {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env });
  const [ran, used] = stdout.split(" ").map(Number);
  if (status !== 0 || ran === undefined || used === undefined)
    throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
  return { ran, used };
}

function timesOf(name: string, times: readonly number[]): StartTime {
  const sorted = [...times].sort((a, b) => a - b);
  return { name, least: sorted[0] ?? Number.NaN, median: sorted[sorted.length >> 1] ?? Number.NaN };
}

/** At most 1.3 times a plain start; where something has changed, that and one start of Node. */
function goalsFor(rows: readonly StartTime[]): Readonly<Record<string, number>> {
  const leastOf = (name: string): number => rows.find((row) => row.name === name)?.least ?? Number.NaN;
  const withNode = Number((1.3 + leastOf("one start of Node") / leastOf("lxc-start")).toFixed(2));
  return {
    "with callgate, nothing changed": 1.3,
    "with callgate, another comment": 1.3,
    "with callgate, another line of LXC's": withNode,
    "with callgate, a statement changed": withNode,
  };
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
