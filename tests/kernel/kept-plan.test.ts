// Kept plans: `callgate run` starts no Node where nothing has changed, and Node where anything has. As root everything is
// in a mount namespace of its own, so that the machine's own kept plans are left alone.
// Debian packages: util-linux
import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import {
  type Change,
  commonChanges,
  entering,
  everybody,
  inside,
  keepApart,
  type Result,
  type RunOptions,
  World,
} from "./kept-world.ts";
import { isRoot, launch, ordinaryUser, planFor, refuseFilter, root, scratchPath } from "./native.ts";

keepApart();

for (const person of everybody) {
  describe(`kept plans, as ${person.name}`, () => {
    test("the second run starts no Node, and does the same", () => {
      const world = new World(person);
      world.forget();
      const first = world.run();
      assert.deepEqual([first.status, first.stdout, first.fresh], [0, "done\n", true], first.stderr);
      world.settle();
      const again = world.run();
      assert.deepEqual([again.status, again.stdout, again.stderr, again.fresh], [0, "done\n", "", false]);
      const { stdout } = inside(person, ["stat", "-c", "%a %u", person.folder, `${person.folder}/key`]);
      assert.equal(stdout, `700 ${person.uid}\n600 ${person.uid}\n`);
      assert.equal(world.kept().length, 1);
    });

    test("where it holds no more, nothing of what was begun with it is left when Node starts", () => {
      const world = new World(person);
      world.settle();
      const lines = [
        "#!/bin/sh",
        `for one in $(cat /proc/$PPID/task/$PPID/children); do grep NSpid: /proc/$one/status; done >${world.path("children")}`,
        `echo >>${world.path("started")}`,
        `exec ${process.execPath} "$@"`,
      ];
      world.write("bin/node", lines.join("\n"));
      commonChanges["the policy, by a comment"]?.(world);
      const { status, stdout, stderr, fresh } = world.run();
      assert.deepEqual([status, stdout, fresh], [0, "done\n", true], stderr);
      // The first process of a namespace has a number in that, too.
      assert.match(readFileSync(world.path("children"), "utf8"), /^(NSpid:\t\d+\n)+$/);
    });

    test("the exit status, and what was said when the plan was made, are the same", () => {
      const world = new World(person);
      const args = ["--", "sh", "-c", "exit 7"];
      const options = { cwd: world.path("home") };
      const first = world.run(args, options);
      assert.match(first.stderr, /is not shown to it/);
      const last = [1, 2, 3].map(() => world.run(args, options)).at(-1);
      assert.deepEqual([last?.fresh, last?.status, last?.stderr], [false, 7, first.stderr]);
    });

    test("other arguments of the program need no new plan, and are its arguments", () => {
      const world = new World(person);
      const before = ["--policy", "../policy.toml", "--", "printf"];
      world.settle([...before, "[%s]", "one"]);
      for (const args of [
        ["nothing"],
        ["[%s]", ""],
        ["[%s]", "two", "words and spaces", "--net", "--", "--policy", "nowhere.toml"],
        ["[%s]", "ä"],
        ["[%s]", ...Array.from({ length: 3000 }, (_, index) => `${index}`.padStart(20, "0"))],
      ]) {
        const { fresh, stdout, stderr } = world.run([...before, ...args]);
        const [format = "", ...rest] = args;
        const printed = rest.length === 0 ? format : rest.map((one) => `[${one}]`).join("");
        assert.deepEqual([fresh, stdout], [false, printed], stderr);
      }
      // None at all, and bytes that are no text.
      const alone = world.run(before);
      assert.deepEqual([alone.fresh, alone.status], [false, 1], alone.stderr);
      const bytes = `exec "$0" run --policy ../policy.toml -- printf "$(printf 'a\\377b')"`;
      const result = inside(person, ["sh", "-c", `${bytes} | od -An -tx1`, world.callgate], {
        env: world.env(),
        cwd: world.path("work"),
      });
      assert.equal(result.stdout, " 61 ff 62\n", result.stderr);
    });

    test("without -- before the program, arguments are part of what a plan is found by", () => {
      const world = new World(person);
      const before = ["--policy", "../policy.toml", "printf"];
      world.settle([...before, "one"]);
      const other = world.run([...before, "two"]);
      assert.deepEqual([other.fresh, other.stdout], [true, "two"], other.stderr);
      // Here -- is an argument: what follows the next word is free, and all of it is the program's.
      world.settle([...before, "[%s]", "--", "b", "c"]);
      const free = world.run([...before, "[%s]", "--", "b", "other", "--net"]);
      assert.deepEqual([free.fresh, free.stdout], [false, "[--][b][other][--net]"], free.stderr);
      const bound = world.run([...before, "[%s]", "--", "x", "c"]);
      assert.deepEqual([bound.fresh, bound.stdout], [true, "[--][x][c]"], bound.stderr);
    });

    /** Everything that a plan rests on, changed. What is done may be taken back by what it answers. */
    const changes: Readonly<Record<string, Change>> = {
      ...commonChanges,
      "an included file replaced by a link to another": (world) => {
        renameSync(world.path("base.toml"), world.path("moved.toml"));
        symlinkSync(world.path("moved.toml"), world.path("base.toml"));
        return {};
      },
      "the working directory, removed and made again": (world) => {
        rmdirSync(world.path("work"));
        mkdirSync(world.path("work"));
        return {};
      },
      "the working directory's name": (world) => {
        renameSync(world.path("work"), world.path("away"));
        return { cwd: world.path("away") };
      },
      "an option": () => ({ args: ["--net", "--policy", "../policy.toml", "--", "sh", "-c", "echo done"] }),
      "the mount namespace": () =>
        isRoot
          ? {
              asIs: true,
              before: [
                "unshare",
                "--mount",
                "setpriv",
                "--reuid",
                String(person.uid),
                "--regid",
                String(person.uid),
                "--clear-groups",
              ],
            }
          : { before: ["unshare", "--user", "--map-current-user", "--mount"] },
    };
    for (const [name, change] of Object.entries(changes)) {
      test(`changed gives a fresh plan: ${name}`, () => {
        const world = new World(person);
        world.settle();
        assert.equal(world.run().fresh, false, "without a change it is used");
        const { args, ...options } = change(world);
        // Node need not finish: that it is started is what is asked.
        world.write("no-node", "");
        const result = world.run(args ?? world.usual, options);
        assert.deepEqual([result.fresh, result.status], [true, 125], result.stdout);
      });
    }

    test("changed gives a fresh plan: a start-up file that was absent is there, and is protected", () => {
      const world = new World(person);
      const args = ["--write", ".", "--", "sh", "-c", "test ! -e .envrc || echo x >>.envrc"];
      world.settle(args);
      world.write("work/.envrc", "");
      const { fresh, stderr } = world.run(args);
      assert.equal(fresh, true);
      assert.match(stderr, /cannot create .envrc/);
    });

    test("changed gives a fresh plan: the folder of a report that is to come", () => {
      const world = new World(person);
      const args = ["--policy", "../policy.toml", "--report-to", "../reports/one", "--", "echo", "done"];
      mkdirSync(world.path("reports"));
      chmodSync(world.path("reports"), 0o777);
      world.settle(args);
      writeFileSync(world.path("reports/one"), "");
      assert.equal(world.run(args).fresh, false, "the file itself comes and goes");
      rmSync(world.path("reports"), { recursive: true });
      const { fresh, status, stdout, stderr } = world.run(args);
      assert.deepEqual([fresh, status, stdout], [true, 125, ""]);
      assert.match(stderr, /--report-to "\.\.\/reports\/one": there is no such folder/);
    });

    test("changed gives a fresh plan: callgate itself", () => {
      const copy = scratchPath("callgate");
      for (const name of ["bin", "dist/cli", "native/prebuilt", "package.json"])
        cpSync(join(root, name), join(copy, name), { recursive: true });
      const world = new World(person, join(copy, "bin", "callgate"));
      const parts: Readonly<Record<string, (path: string) => void>> = {
        "dist/cli/filter.js": (path) => writeFileSync(path, `${readFileSync(path, "utf8")}\n`),
        "dist/cli/main.cjs": (path) => utimesSync(path, 1, 1),
        "dist/cli/tables.txt": (path) => utimesSync(path, 1, 1),
        [`native/prebuilt/linux-${process.arch === "arm64" ? "aarch64" : "x86_64"}/launcher`]: (path) => {
          const bytes = readFileSync(path);
          rmSync(path);
          writeFileSync(path, bytes, { mode: 0o755 });
        },
      };
      for (const [part, change] of Object.entries(parts)) {
        world.settle();
        assert.equal(world.run().fresh, false);
        change(join(copy, part));
        const { fresh, status, stderr } = world.run();
        assert.deepEqual([fresh, status], [true, 0], `${part}: ${stderr}`);
      }
    });

    test("a plan that is planted, cut off, changed, foreign, older or another's is never used", () => {
      const world = new World(person);
      world.forget();
      world.settle();
      const [name = ""] = world.kept();
      const file = join(person.folder, name);
      const read = (): Buffer =>
        Buffer.from(inside(person, ["base64", "-w0", file], { asIs: true }).stdout, "base64");
      const sound = read();
      const put = (bytes: Uint8Array, more: readonly string[] = []): void => {
        const copy = scratchPath("plan");
        writeFileSync(copy, bytes);
        const script = `umask 077; rm -rf "$1"; cat "$0" >"$1"; ${isRoot ? `chown ${person.uid} "$1";` : ""} ${more.join(";")}`;
        const { status, stderr } = inside(person, ["sh", "-c", script, copy, file], { asIs: true });
        assert.equal(status, 0, stderr);
      };
      const isUsed = (): boolean => {
        // Node refuses, so that nothing is kept anew, and these tries are quick.
        world.write("no-node", "");
        const { fresh, status } = world.run();
        rmSync(world.path("no-node"));
        assert.equal(status, fresh ? 125 : 0);
        return !fresh;
      };
      put(sound);
      assert.equal(isUsed(), true, "the very bytes, laid there again, are used");

      for (let at = 0; at < sound.length; at += at < 100 ? 5 : 389) {
        const changed = Buffer.from(sound);
        changed[at] = (changed[at] ?? 0) ^ 1;
        put(changed);
        assert.equal(isUsed(), false, `byte ${at} is another`);
      }
      for (const length of [0, 1, 23, 87, 88, 100, sound.length - 1]) {
        put(sound.subarray(0, length));
        assert.equal(isUsed(), false, `cut off after ${length} bytes`);
      }
      put(Buffer.concat([sound, Buffer.alloc(1)]));
      assert.equal(isUsed(), false, "a byte too long");

      const other = ordinaryUser.uid === person.uid ? 1 : ordinaryUser.uid;
      const states: Readonly<Record<string, string>> = {
        "readable for its group": 'chmod 640 "$1"',
        "writable for others": 'chmod 602 "$1"',
        "with a second name": `ln "$1" "${person.folder}/second"`,
        "a link": 'mv "$1" "$1-away" && ln -s "$1-away" "$1"',
        "a folder": 'rm "$1" && mkdir "$1"',
        "a pipe": 'rm "$1" && mkfifo -m 600 "$1"',
        ...(isRoot ? { "another user's": `chown ${other} "$1"` } : {}),
      };
      for (const [what, line] of Object.entries(states)) {
        put(sound, [line]);
        assert.equal(isUsed(), false, what);
        inside(person, ["sh", "-c", `rm -rf "$0/second" "$1-away"`, person.folder, file], { asIs: true });
      }

      // Another plan's file under this one's name; and this one's again, when it is old.
      put(sound);
      const args = ["--", "sh", "-c", "echo other"];
      world.settle(args);
      const otherName = world.kept().find((one) => one !== name) ?? "";
      inside(person, ["cp", "-p", join(person.folder, otherName), file], { asIs: true });
      assert.equal(isUsed(), false, "another plan's bytes");
      world.write("policy.toml", `${readFileSync(world.path("policy.toml"), "utf8")}# newer\n`);
      put(sound);
      assert.equal(isUsed(), false, "the plan of the older policy");

      // And the key or the folder.
      world.settle();
      inside(person, ["chmod", "644", join(person.folder, "key")], { asIs: true });
      assert.equal(isUsed(), false, "a key that others can read");
      world.settle();
      inside(person, ["chmod", "755", person.folder], { asIs: true });
      assert.equal(isUsed(), false, "a folder that others can read");
      inside(person, ["chmod", "700", person.folder], { asIs: true });
      assert.equal(isUsed(), true);
    });

    test("no value of the environment is in it, and what --env sets is not kept", () => {
      const world = new World(person);
      world.forget();
      const secret = "tr0ub4dor&3";
      const env = world.env({ TOKEN: secret });
      const args = ["--env", "TOKEN", "--", "sh", "-c", 'test "$TOKEN" = "$0"', secret.slice(0, 0)];
      world.run(args, { env });
      const shown = ["--env", "TOKEN", "--", "printenv", "TOKEN"];
      world.settle(shown, { env });
      assert.equal(world.run(shown, { env }).stdout, `${secret}\n`);
      assert.equal(world.run(shown, { env: world.env({ TOKEN: "new" }) }).stdout, "new\n");
      const { status } = inside(person, ["grep", "-rqF", secret, person.folder], { asIs: true });
      assert.equal(status, 1, "grep finds it nowhere");
      const set = ["--env", `TOKEN=${secret}`, "--", "printenv", "TOKEN"];
      for (let i = 0; i < 2; i += 1) assert.equal(world.run(set).fresh, true);
      assert.equal(inside(person, ["grep", "-rqF", secret, person.folder], { asIs: true }).status, 1);
    });

    test("--fresh and CALLGATE_FRESH neither use a plan nor keep one", () => {
      const world = new World(person);
      world.forget();
      for (let i = 0; i < 2; i += 1) assert.equal(world.run(["--fresh", "--", "true"]).fresh, true);
      assert.deepEqual(world.kept(), []);
      world.settle(["--", "true"]);
      assert.equal(world.run(["--", "true"], { env: world.env({ CALLGATE_FRESH: "1" }) }).fresh, true);
      assert.equal(world.run(["--", "true"]).fresh, false);
    });

    test("plan and run --dry-run say whether a kept plan would be used, and what has changed", () => {
      const world = new World(person);
      world.forget();
      const said = (command: readonly string[], options: RunOptions = {}): unknown => {
        const all = [world.callgate, ...command, "--json", ...world.usual];
        const { status, stdout, stderr } = inside(person, all, {
          env: world.env(),
          cwd: world.path("work"),
          ...options,
        });
        assert.equal(status, 0, stderr);
        return JSON.parse(stdout).kept;
      };
      const both = (options: RunOptions = {}): unknown => {
        const [plan, dry] = [said(["plan"], options), said(["run", "--dry-run"], options)];
        assert.deepEqual(plan, dry);
        return plan;
      };
      assert.deepEqual(both(), { state: "none" });
      world.settle();
      assert.deepEqual(both(), { state: "used" });
      assert.equal(world.run().fresh, false, "asking has changed nothing");
      assert.deepEqual(both({ cwd: world.path("home") }), { state: "none" }, "another folder");
      assert.deepEqual(both({ before: ["setpriv", "--no-new-privs"] }), { state: "none" });
      assert.deepEqual(both({ env: world.env({ CALLGATE_FRESH: "1" }) }), {
        state: "not-kept",
        why: "CALLGATE_FRESH is set",
      });

      const real = realpathSync(world.folder);
      world.write("bin/sh", "#!/bin/sh\necho done\n");
      const found = { path: join(real, "bin/sh"), what: "is there now" };
      assert.deepEqual(both(), { state: "changed", changes: [found] });
      world.write("base.toml", `${readFileSync(world.path("base.toml"), "utf8")}# more\n`);
      rmSync(world.path("policy.toml"));
      world.write("policy.toml", readFileSync(world.path("base.toml"), "utf8"));
      const words = inside(person, [world.callgate, "plan", ...world.usual], {
        env: world.env(),
        cwd: world.path("work"),
      }).stdout;
      assert.match(words, /^kept plan +there is one, and run would make a new one:$/m);
      assert.match(words, new RegExp(`^ +${real}/bin/sh is there now$`, "m"));
      assert.match(words, /policy\.toml was changed$/m);
      assert.match(words, /base\.toml was changed$/m);
    });

    test("many at the same time: all correct, and nothing is left half", () => {
      const world = new World(person);
      world.forget();
      const line = `for i in 1 2 3 4 5 6 7 8; do "$0" run -- echo done & done; wait`;
      const many = (): Result =>
        inside(person, ["sh", "-c", line, world.callgate], { env: world.env(), cwd: world.path("work") });
      for (let round = 0; round < 3; round += 1) {
        const { stdout, stderr } = many();
        assert.deepEqual([stdout, stderr], ["done\n".repeat(8), ""]);
      }
      assert.equal(world.run(["--", "echo", "done"]).fresh, false);
      assert.equal(world.kept().length, 1);
    });

    test("where nothing can be written, or the disk is full, nothing is kept and everything runs", () => {
      const world = new World(person);
      world.forget();
      inside(person, ["sh", "-c", 'touch "$0"', person.folder], { asIs: true });
      for (let i = 0; i < 2; i += 1) {
        const { status, stderr, fresh } = world.run();
        assert.deepEqual([status, stderr, fresh], [0, "", true], "a file is in the folder's place");
      }
      world.forget();
      if (!isRoot) return;
      const fill =
        'mkdir "$0" && mount -t tmpfs -o size=8k,mode=700,uid="$1" tmpfs "$0" && { head -c 100000 /dev/zero >"$0/full"; true; }';
      inside(person, ["sh", "-c", fill, person.folder, String(person.uid)], { asIs: true });
      try {
        for (let i = 0; i < 2; i += 1) {
          const { status, stderr, fresh } = world.run();
          assert.deepEqual([status, stderr, fresh], [0, "", true], "no space is left");
        }
        assert.deepEqual(world.kept(), ["full"]);
      } finally {
        inside(person, ["umount", person.folder], { asIs: true });
        world.forget();
      }
    });

    test("no sandbox sees the folder, and none can be granted it", () => {
      const world = new World(person);
      world.settle();
      const look = world.run([
        "--",
        "sh",
        "-c",
        `cat ${person.folder}/key; ls /run ${dirname(person.folder)}`,
      ]);
      assert.match(look.stderr, /No such file/);
      assert.equal(look.stdout.includes("callgate"), false, look.stdout);
      const refused = ["/", "/run", "/dev/shm", person.folder, `${person.folder}/key`];
      for (const path of refused) {
        for (const option of ["--read", "--write"]) {
          const { status, stderr } = world.run([option, path, "--", "true"]);
          assert.equal(status, 125, `${option} ${path}`);
          assert.match(stderr, /cannot be granted/);
        }
      }
    });
  });
}

test("another answer of Landlock's is another plan", { skip: isRoot ? false : "needs root" }, () => {
  const [person] = everybody;
  if (person === undefined) return;
  const world = new World(person);
  const args = ["--missing", "landlock", "--missing", "scopes", "--", "echo", "done"];
  world.settle(args);
  // A filter around callgate answers landlock_create_ruleset with ENOSYS.
  const earlier = world.starts();
  const command = [...entering(), world.callgate, "run", ...args];
  const plan = planFor(
    [{ kind: "noNewPrivileges" }, { kind: "filter", bytes: refuseFilter(444, 38) }],
    "/usr/bin/env",
    ...command,
  );
  const { status, stdout, stderr } = launch(plan, { env: world.env(), cwd: world.path("work") });
  assert.deepEqual([status, stdout], [0, "done\n"], stderr);
  assert.equal(world.starts(), earlier + 1);
});
