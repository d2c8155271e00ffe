/** What callgate adds to the start of a container: `lxc-start` until it has started, with LXC's common profile alike. */
import { createContainer, noContainers } from "../tests/lxc/containers.ts";
import { printStarts, type StartTime } from "./harness.ts";

const rounds = 9;
const profile = "lxc.seccomp.profile = /usr/share/lxc/config/common.seccomp\n";

export function printContainers(): void {
  if (noContainers !== false) {
    console.log(`\nno rows for containers: ${noContainers}`);
    return;
  }
  const [plain, same, changed] = [1, 2, 3].map(() => createContainer({ config: profile }));
  if (plain === undefined || same === undefined || changed === undefined) return;
  for (const { callgate, configure, config, name } of [same, changed]) {
    configure(`${config()}syscall.deny = keyctl\n`);
    const enabled = callgate("enable", name);
    if (enabled.status !== 0) throw new Error(enabled.stderr);
  }
  const kinds = [
    { name: "lxc-start", container: plain, before: () => undefined },
    { name: "with callgate, nothing changed", container: same, before: () => undefined },
    {
      name: "with callgate, the configuration changed",
      container: changed,
      before: () => changed.configure(`${changed.config()}# and another line\n`),
    },
  ].map((kind) => ({ ...kind, times: [] as number[] }));
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
  }
  const rows = kinds.map(({ name, times }): StartTime => {
    times.sort((a, b) => a - b);
    return { name, least: times[0] ?? Number.NaN, median: times[rounds >> 1] ?? Number.NaN };
  });
  printStarts(`start of a busybox container, ${rounds} rounds`, rows, {
    "with callgate, nothing changed": 1.3,
  });
}
