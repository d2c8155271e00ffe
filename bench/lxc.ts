/**
 * What callgate adds to the start of a container: `lxc-start` until it has started, with LXC's common profile alike. Beside it what LXC
 * takes for two hooks that do nothing, and one start of Node. `nice -n -20` helps; under real-time priority the kernel
 * refuses LXC's cgroups.
 */
import { spawnSync } from "node:child_process";
import { createContainer, noContainers } from "../tests/lxc/containers.ts";
import { printStarts, type StartTime } from "./harness.ts";

const rounds = 31;
const profile = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

export function printContainers(): void {
  if (noContainers !== false) {
    console.log(`\nno rows for containers: ${noContainers}`);
    return;
  }
  const [plain, hooks, same, changed] = [1, 2, 3, 4].map(() => createContainer({ config: profile }));
  if (plain === undefined || hooks === undefined || same === undefined || changed === undefined) return;
  hooks.configure(
    `${hooks.config()}lxc.hook.pre-start = /bin/busybox true\nlxc.hook.start-host = /bin/busybox true\n`,
  );
  for (const { callgate, configure, config, name } of [same, changed]) {
    configure(`${config()}syscall.deny = keyctl\n`);
    const enabled = callgate("enable", name);
    if (enabled.status !== 0) throw new Error(enabled.stderr);
  }
  const kinds = [
    { name: "lxc-start", container: plain, before: () => undefined },
    { name: "lxc-start with two hooks that do nothing", container: hooks, before: () => undefined },
    { name: "with callgate, nothing changed", container: same, before: () => undefined },
    {
      name: "with callgate, the configuration changed",
      container: changed,
      before: () => changed.configure(`${changed.config()}# and another line\n`),
    },
  ].map((kind) => ({ ...kind, times: [] as number[] }));
  const node: number[] = [];
  // The first two rounds are for what is kept from start to start.
  for (let round = -2; round < rounds; round += 1) {
    for (const { container, before, times } of kinds) {
      before();
      const begin = performance.now();
      const { status, stderr } = container.start();
      const time = (performance.now() - begin) * 1000;
      if (status !== 0) throw new Error(`lxc-start: ${stderr}`);
      container.stop();
      if (round >= 0) times.push(time);
    }
    const begin = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    if (round >= 0) node.push((performance.now() - begin) * 1000);
  }
  const rows = [...kinds, { name: "one start of Node", times: node }].map(({ name, times }): StartTime => {
    times.sort((a, b) => a - b);
    return { name, least: times[0] ?? Number.NaN, median: times[rounds >> 1] ?? Number.NaN };
  });
  const leastOf = (name: string): number => rows.find((row) => row.name === name)?.least ?? Number.NaN;
  printStarts(`start of a busybox container, ${rounds} rounds`, rows, {
    "with callgate, nothing changed": 1.3,
    "with callgate, the configuration changed": Number(
      (1 + leastOf("one start of Node") / leastOf("lxc-start")).toFixed(2),
    ),
  });
}
