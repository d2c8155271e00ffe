// A folder of kept plans that is mounted below what is granted: nothing is started. In a mount namespace of the test's own.
// Debian packages: util-linux
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { otherNames } from "../../src/sandbox/kept-plans.ts";
import { isRoot, root, scratchPath } from "./native.ts";

const needsRoot = isRoot ? {} : { skip: "only root can mount in the namespace in which callgate starts" };

describe("a folder of kept plans by another name", () => {
  const granted = scratchPath("granted");
  mkdirSync(join(granted, "inside"), { recursive: true });

  const run = (source: string | undefined, cwd: string, args: readonly string[]) =>
    spawnSync(
      "unshare",
      [
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        `mount -t tmpfs tmpfs /run && mkdir -m 700 /run/callgate && echo secret >/run/callgate/key && cd "$1" &&
         { [ -z "$2" ] || mount --bind "$2" "$3"; } && shift 3 && exec "$@"`,
        "sh",
        cwd,
        source ?? "",
        join(granted, "inside"),
        join(root, "bin", "callgate"),
        "run",
        ...args,
      ],
      { encoding: "utf8" },
    );
  const list = ["--", "find", granted, "-name", "key"];

  test("nothing mounted: what is granted is shown", needsRoot, () => {
    const { status, stderr } = run(undefined, "/usr", ["--read", granted, ...list]);
    assert.equal(status, 0, stderr);
  });

  for (const source of ["/run/callgate", "/run"]) {
    test(`${source} mounted below it: refused`, needsRoot, () => {
      const { status, stdout, stderr } = run(source, "/usr", ["--read", granted, ...list]);
      assert.equal(status, 125, stderr);
      assert.match(stderr, /cannot be granted: callgate keeps plans/);
      assert.equal(stdout, "");
    });

    test(`${source} mounted below the working directory: that is not shown`, needsRoot, () => {
      const { stdout, stderr } = run(source, granted, list);
      assert.doesNotMatch(stdout, /key/, stderr);
    });
  }

  test("mounts of the same file system that hold the folder, and no others", () => {
    const mounts = [
      "1 0 8:1 / / rw - ext4 /dev/a rw",
      "2 1 0:5 / /run rw - tmpfs tmpfs rw",
      "3 1 0:5 / /srv/all rw - tmpfs tmpfs rw",
      "4 1 0:5 /callgate /srv/a\\040b rw - tmpfs tmpfs rw",
      "5 1 0:5 /callgate/key /srv/key rw - tmpfs tmpfs rw",
      "6 1 0:5 /other /srv/other rw - tmpfs tmpfs rw",
      "7 1 8:1 /callgate /srv/foreign rw - ext4 /dev/a rw",
    ].join("\n");
    assert.deepEqual(otherNames(mounts, "/run/callgate"), ["/srv/all", "/srv/a b", "/srv/key"]);
    assert.deepEqual(otherNames("1 0 8:1 / / rw - ext4 /dev/a rw", "/run/callgate"), []);
  });
});
