// Where control groups can be made: machines that are not here, told by what their kernels say of themselves.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CgroupSurroundings, groupLimits, placeFor, sizeText } from "../../src/sandbox/cgroups.ts";

const unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

/** A machine: its own groups, its mounts, what each folder hands down; everything below `writable` is the user's. */
function machine(
  own: string,
  mounts: readonly string[],
  handedDown: Readonly<Record<string, string>>,
  writable: string,
): CgroupSurroundings {
  return {
    own,
    mounts: ["24 1 0:22 / /sys rw - sysfs sysfs rw", ...mounts].join("\n"),
    isWritable: (path) => writable !== "" && (path === writable || path.startsWith(`${writable}/`)),
    read: (path) => handedDown[path.replace(/\/cgroup\.subtree_control$/, "")] ?? "",
  };
}

const slice = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice";
const desktop = machine(
  "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-shell.scope\n",
  [unified],
  {
    "/sys/fs/cgroup": "cpuset cpu io memory pids",
    "/sys/fs/cgroup/user.slice": "memory pids",
    [slice]: "memory pids",
  },
  "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service",
);
const old = ["4 3 0:9 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"].concat(
  "4 3 0:10 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
  "4 3 0:11 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
);
const hybrid = "8:pids:/\n4:memory:/jobs/7\n1:name=systemd:/\n0::/\n";

describe("where a group can be made", () => {
  test("v2: beside the own group, in the nearest folder that is the user's and hands the controller down", () => {
    assert.deepEqual(placeFor(["memory", "pids"], desktop), { version: 2, folder: slice });
    assert.equal(placeFor(["memory"], { ...desktop, isWritable: () => false }), undefined);
  });

  test("v2: not where a folder does not hand the controller down, though it may be written", () => {
    assert.equal(placeFor(["memory"], { ...desktop, read: () => "cpu" }), undefined);
  });

  test("v2: root, at the top of the tree", () => {
    const top = machine("0::/\n", [unified], { "/sys/fs/cgroup": "memory pids" }, "/sys/fs/cgroup");
    assert.deepEqual(placeFor(["pids"], top), { version: 2, folder: "/sys/fs/cgroup" });
  });

  test("v2 in a container, whose own group is mounted as the root", () => {
    const inside = machine(
      "0::/docker/77/sub/leaf\n",
      ["30 24 0:26 /docker/77 /sys/fs/cgroup rw - cgroup2 cgroup2 rw"],
      { "/sys/fs/cgroup/sub": "memory" },
      "/sys/fs/cgroup/sub",
    );
    assert.deepEqual(placeFor(["memory"], inside), { version: 2, folder: "/sys/fs/cgroup/sub" });
    const elsewhere = { ...inside, own: "0::/docker/78/leaf\n" };
    assert.equal(placeFor(["memory"], elsewhere), undefined);
  });

  test("v1: in the own group of the controller's hierarchy, for who may write there", () => {
    const root = machine(hybrid, old, {}, "/sys/fs/cgroup");
    assert.deepEqual(placeFor(["memory"], root), { version: 1, folder: "/sys/fs/cgroup/memory/jobs/7" });
    assert.deepEqual(placeFor(["pids"], root), { version: 1, folder: "/sys/fs/cgroup/pids" });
    assert.equal(placeFor(["memory"], machine(hybrid, old, {}, "")), undefined);
  });

  test("nothing is mounted, or nothing is said", () => {
    assert.equal(placeFor(["memory"], machine("", [], {}, "/")), undefined);
    assert.equal(placeFor(["memory"], machine("0::/\n", [], {}, "/")), undefined);
  });
});

describe("the groups for limits", () => {
  test("v2: one for both, without swap, ended as a whole", () => {
    const { groups, memory, processes } = groupLimits({ memory: 64 << 20, processes: 5 }, desktop);
    assert.deepEqual([memory, processes, groups.length], [true, true, 1]);
    assert.deepEqual(
      groups[0]?.settings.map(({ file, value }) => `${file}=${value}`),
      ["memory.max=67108864", "memory.swap.max=0", "memory.oom.group=1", "pids.max=5"],
    );
    assert.deepEqual(
      groups[0]?.events.map(({ file, key, sentence }) => `${file} ${key}: ${sentence}`),
      [
        "memory.events oom_kill: the sandbox reached its memory limit of 64M (cgroup v2)",
        "pids.events max: the sandbox reached its limit of 5 processes and threads (cgroup v2)",
      ],
    );
  });

  test("v1: one in each hierarchy", () => {
    const { groups } = groupLimits({ memory: 1, processes: 5 }, machine(hybrid, old, {}, "/sys/fs/cgroup"));
    assert.deepEqual(
      groups.map(({ version, folder }) => `${version} ${folder}`),
      ["1 /sys/fs/cgroup/memory/jobs/7", "1 /sys/fs/cgroup/pids"],
    );
  });

  test("v2: where no folder hands both down, memory has the group, and processes have none", () => {
    const split = {
      ...desktop,
      read: (path: string): string =>
        path.startsWith(`${slice}/cgroup`)
          ? "memory"
          : path.includes("user@1000.service/cgroup")
            ? "pids"
            : "",
    };
    const { memory, processes } = groupLimits({ memory: 1, processes: 5 }, split);
    assert.deepEqual([memory, processes], [true, false]);
  });

  test("no limit, no group; and none where there is no place", () => {
    assert.deepEqual(groupLimits({ cpuTime: 1 }, desktop).groups, []);
    assert.deepEqual(groupLimits({ memory: 1 }, machine("", [], {}, "")).groups, []);
  });

  test("sizes as people write them", () => {
    assert.deepEqual([67108864, 1536, 1000, 1 << 30].map(sizeText), ["64M", "1536", "1000", "1G"]);
  });
});
