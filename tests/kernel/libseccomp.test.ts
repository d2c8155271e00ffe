// Debian packages: libseccomp-dev, gcc, runc, crun, busybox-static
// What libseccomp makes of rules that both can express, and what runc and crun really load: docs/libseccomp.md.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { emulate, errno, type Filter, RET_ALLOW, RET_TRAP, readFilter } from "../../src/bpf/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type Difference, diff } from "../../src/proof/index.ts";
import { readProcessFilters } from "../../src/sandbox/process-filters.ts";
import { type AbiName, multiplexedOf, syscallByName, syscallsOf } from "../../src/syscalls/index.ts";
import { policyOfText } from "../policy/reading.ts";
import { drawing, randomOf, seed } from "../seed.ts";
import { compileC, isRoot, root, scratch } from "./native.ts";

const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"] as const;

interface Tested {
  readonly index: number;
  readonly op: (typeof operators)[number];
  readonly value: number;
  readonly mask?: number;
}

interface Rule {
  readonly name: string;
  readonly action: number;
  readonly tests: readonly Tested[];
}

const actions: ReadonlyMap<number, string> = new Map([
  [RET_ALLOW, "allow"],
  [errno(7), "errno(7)"],
  [errno(9), "errno(9)"],
  [RET_TRAP, "trap"],
]);
const fallback = errno(38);

const program = compileC(
  "libseccomp",
  readFileSync(join(root, "tests", "fixtures", "libseccomp.c"), "utf8"),
  ["-Wl,--no-as-needed", "-lseccomp"],
);

/** The filter that libseccomp makes for these ABIs. */
function ofLibseccomp(rules: readonly Rule[], abis: readonly AbiName[], optimize: 1 | 2): Filter {
  const lines = rules.map(({ name, action, tests }) => {
    const words = tests.map(({ index, op, value, mask }) =>
      [index, operators.indexOf(op) + 1, ...(mask === undefined ? [value, 0] : [mask, value])].join(" "),
    );
    // Numbers are those of the native ABI: libseccomp looks up the others' by name.
    return `rule ${action} ${syscallByName("x86_64", name)?.nr ?? -1} ${tests.length} ${words.join(" ")}`;
  });
  const input = [
    `filter ${fallback} ${optimize}`,
    ...abis.map((abi) => `arch ${abi}`),
    ...lines,
    "end\n",
  ].join("\n");
  const { stdout, stderr, status } = spawnSync(program, { input, maxBuffer: 1 << 26 });
  assert.equal(status, 0, stderr.toString());
  assert.equal(stderr.toString(), "");
  return readFilter(stdout.subarray(4, 4 + stdout.readUInt32LE(0)));
}

/** The same rules as a policy, number by number. */
function policyFor(rules: readonly Rule[], abis: readonly AbiName[]): Policy {
  const lines = rules.flatMap(({ name, action, tests }) =>
    abis.flatMap((abi) => {
      const nr = syscallByName(abi, name)?.nr;
      if (nr === undefined) return [];
      const conditions = tests.map((one) => conditionOf(one, abi));
      const condition = conditions.length === 0 ? "" : `(${conditions.join(" && ")})`;
      return [`${actions.get(action)} ${abi}:#${nr}${condition}`];
    }),
  );
  return policyOfText(`version = 1
[syscalls]
default = "errno(38)"
newer = "errno(38)"
abis = [${abis.map((abi) => JSON.stringify(abi)).join(", ")}]
other-abis = "kill-thread"
rules = '''
${lines.join("\n")}
'''
`);
}

function conditionOf({ index, op, value, mask }: Tested, abi: AbiName): string {
  const operator = { NE: "!=", LT: "<", LE: "<=", EQ: "==", GE: ">=", GT: ">", MASKED_EQ: "==" }[op];
  // On ABIs whose pointers have 32 bits libseccomp looks at the low halves, also on x32, whose registers have 64.
  const low = abi === "x86_64" ? undefined : 0xffff_ffff;
  const bits = mask ?? low;
  return `args[${index}]${bits === undefined ? "" : ` & ${bits}`} ${operator} ${value}`;
}

/** What differs but for numbers that are negative to the kernel. */
function differencesOf(a: Filter, b: Filter | Policy): readonly Difference[] {
  return diff(a, b, { target: "x86_64" }).filter(({ numbers }) => numbers.from < 0x8000_0000);
}

/** Calls that every ABI of x86 has by one number each, whatever libseccomp's age. */
const multiplexed = new Set(multiplexedOf("x86").map(({ name }) => name));
const names = syscallsOf("x86_64")
  .filter(({ since }) => since !== undefined && since.major < 5)
  .map(({ name }) => name)
  .filter((name) => !multiplexed.has(name) && syscallByName("x86", name) !== undefined)
  .slice(0, 160);

/** Whole numbers from 0, less than `below`. */
function dice(start: number): (below: number) => number {
  const random = randomOf(start);
  return (below) => Math.floor(random() * below);
}

/** Rules of which no two of one call match the same arguments. */
function exclusiveRules(random: (below: number) => number): readonly Rule[] {
  const actionOf = (): number => [...actions.keys()][random(actions.size)] ?? RET_ALLOW;
  const anyTest = (index: number): Tested => {
    const op = operators[random(operators.length)] ?? "EQ";
    const value = [0, 1, 2, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe][random(7)] ?? 0;
    if (op === "LT" && value === 0) return { index, op: "EQ", value };
    return op === "MASKED_EQ"
      ? { index, op, mask: 0x30f, value: random(0x400) & 0x30f }
      : { index, op, value };
  };
  return names.flatMap((name): readonly Rule[] => {
    const index = random(6);
    const values = [random(9), 10 + random(9), 100 + random(900)];
    switch (random(7)) {
      case 0:
      case 1:
        return [{ name, action: actionOf(), tests: [] }];
      case 2: {
        const indices = [0, 1, 2, 3, 4, 5].filter(() => random(2) === 1);
        return [{ name, action: actionOf(), tests: indices.map(anyTest) }];
      }
      case 3:
        return values.map((value) => ({ name, action: actionOf(), tests: [{ index, op: "EQ", value }] }));
      case 4:
        return [
          { name, action: actionOf(), tests: [{ index, op: "LE", value: values[0] ?? 0 }] },
          { name, action: actionOf(), tests: [{ index, op: "GT", value: values[1] ?? 0 }] },
        ];
      case 5:
        return [0, 1, 2].map((value) => ({
          name,
          action: actionOf(),
          tests: [{ index, op: "MASKED_EQ", mask: 3, value }],
        }));
      default:
        return [];
    }
  });
}

describe("rules that exclude each other", () => {
  const sets: readonly (readonly AbiName[])[] = [["x86_64"], ["x86_64", "x86", "x32"]];
  for (const [number, abis] of sets.entries())
    for (const optimize of [1, 2] as const)
      test(
        `${abis.join(", ")}, libseccomp's optimisation ${optimize}: its filter is proved equal`,
        drawing(() => {
          const rules = exclusiveRules(dice(seed + number * 2 + optimize));
          assert.ok(rules.length > 100);
          const filter = ofLibseccomp(rules, abis, optimize);
          const differences = differencesOf(filter, policyFor(rules, abis));
          assert.deepEqual(
            differences
              .slice(0, 5)
              .map((one) => `${one.abi} ${one.syscall ?? one.numbers.from} ${one.condition}`),
            [],
          );
          // And a rule less is seen.
          assert.notDeepEqual(differencesOf(filter, policyFor(rules.slice(1), abis)), []);
        }),
      );
});

/** An OCI profile of the same rules, in the same order. */
function profileOf(rules: readonly Rule[]): object {
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: rules.map(({ name, action, tests }) => ({
      names: [name],
      action:
        action === RET_ALLOW ? "SCMP_ACT_ALLOW" : action === RET_TRAP ? "SCMP_ACT_TRAP" : "SCMP_ACT_ERRNO",
      ...(action === errno(7) || action === errno(9) ? { errnoRet: action & 0xffff } : {}),
      args: tests.map(({ index, op, value, mask }) => ({
        index,
        op: `SCMP_CMP_${op}`,
        value: mask ?? value,
        valueTwo: mask === undefined ? 0 : value,
      })),
    })),
  };
}

function policyOfProfile(profile: object): Policy {
  const { policy } = readPolicy(JSON.stringify(profile), { target: "x86_64" });
  assert.ok(policy !== undefined);
  return policy;
}

/** Two rules of one argument a call, with different actions, that may overlap. */
function overlappingRules(random: (below: number) => number): readonly Rule[] {
  return names.slice(0, 120).flatMap((name) => {
    const tested = (): Tested => {
      const op = operators[random(operators.length)] ?? "EQ";
      const mask = 1 + random(7);
      return op === "MASKED_EQ"
        ? { index: 0, op, mask, value: random(8) & mask }
        : { index: 0, op, value: 2 * (1 + random(3)) };
    };
    const [one, other] = [tested(), tested()];
    // Equal tests are one rule to libseccomp: it refuses the second.
    if (one.op === other.op && one.value === other.value && one.mask === other.mask) return [];
    return [
      { name, action: RET_ALLOW, tests: [one] },
      { name, action: errno(7), tests: [other] },
    ];
  });
}

describe("rules that overlap", () => {
  test(
    "of one argument below 2^32: the reader of OCI profiles has libseccomp's order",
    drawing(() => {
      const rules = overlappingRules(dice(seed));
      const differences = differencesOf(
        ofLibseccomp(rules, ["x86_64"], 1),
        policyOfProfile(profileOf(rules)),
      );
      const low = differences.filter(({ witness }) => (witness.args[0] ?? 0n) < 0x1_0000_0000n);
      assert.deepEqual(
        low.map(({ syscall }) => rules.filter(({ name }) => name === syscall)),
        [],
      );
    }),
  );

  test("of several arguments libseccomp can lose calls, which is no order at all, and is warned of", () => {
    const rules: readonly Rule[] = [
      {
        name: "mincore",
        action: RET_ALLOW,
        tests: [
          { index: 0, op: "LE", value: 4 },
          { index: 2, op: "GT", value: 3 },
        ],
      },
      { name: "mincore", action: RET_ALLOW, tests: [{ index: 0, op: "GT", value: 1 }] },
    ];
    const { instructions } = ofLibseccomp(rules, ["x86_64"], 1);
    const call = { nr: syscallByName("x86_64", "mincore")?.nr ?? -1, arch: 0xc000_003e, args: [2n, 0n, 0n] };
    assert.equal(emulate(instructions, call), fallback, "2 > 1, and yet it is not allowed");
    const [first, second] = rules;
    assert.ok(first !== undefined && second !== undefined);
    const { diagnostics } = readPolicy(JSON.stringify(profileOf([{ ...first, action: errno(7) }, second])), {
      target: "x86_64",
    });
    assert.ok(diagnostics.some(({ id }) => id === "oci-rules-overlap"));
  });

  test("a rule without tests wins wherever it stands", () => {
    const conditional: Rule = { name: "dup2", action: errno(7), tests: [{ index: 0, op: "EQ", value: 1 }] };
    const whole: Rule = { name: "dup2", action: RET_ALLOW, tests: [] };
    for (const rules of [
      [conditional, whole],
      [whole, conditional],
    ]) {
      const filter = ofLibseccomp(rules, ["x86_64"], 1);
      assert.deepEqual(differencesOf(filter, policyOfProfile(profileOf(rules))), []);
      assert.deepEqual(differencesOf(filter, policyFor([whole], ["x86_64"])), []);
    }
  });
});

const hasRuntime = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;

/** Runs a container until it sleeps under its filter, and reads that back. */
function loadedBy(runtime: "runc" | "crun", profile: object): Filter {
  const bundle = join(scratch(), runtime);
  for (const folder of ["bin", "dev", "proc"]) mkdirSync(join(bundle, "rootfs", folder), { recursive: true });
  copyFileSync("/usr/bin/busybox", join(bundle, "rootfs", "bin", "busybox"));
  writeFileSync(
    join(bundle, "config.json"),
    JSON.stringify({
      ociVersion: "1.0.2",
      process: {
        user: { uid: 0, gid: 0 },
        args: ["/bin/busybox", "sleep", "600"],
        env: ["PATH=/bin"],
        cwd: "/",
        noNewPrivileges: true,
      },
      root: { path: "rootfs", readonly: true },
      mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
      linux: { namespaces: [{ type: "pid" }, { type: "mount" }], seccomp: profile },
    }),
  );
  const pidFile = join(bundle, "pid");
  const id = `callgate-${process.pid}-${runtime}`;
  const state = join(bundle, "state");
  // The container has the runtime's standard error too: a pipe would be open until it ends.
  const said = join(bundle, "said");
  const stdio = ["ignore", "ignore", openSync(said, "w")] as const;
  const run = (...args: readonly string[]) =>
    // crun refuses to start where control groups are of both kinds: it is shown the newer one alone.
    runtime === "crun"
      ? spawnSync(
          "unshare",
          [
            "-m",
            "sh",
            "-c",
            'mount -t cgroup2 none /sys/fs/cgroup && exec crun --cgroup-manager=disabled "$@"',
            "sh",
            "--root",
            state,
            ...args,
          ],
          { stdio: [...stdio], timeout: 240_000 },
        )
      : spawnSync("runc", ["--root", state, ...args], {
          stdio: [...stdio],
          timeout: 240_000,
        });
  try {
    const started = run("run", "-d", "--bundle", bundle, "--pid-file", pidFile, id);
    assert.equal(started.status, 0, readFileSync(said, "utf8"));
    const pid = Number(readFileSync(pidFile, "utf8"));
    for (const end = Date.now() + 30_000; readlinkSync(`/proc/${pid}/exe`) !== "/bin/busybox"; ) {
      assert.ok(Date.now() < end, "the container's program does not start");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
    const read = readProcessFilters(pid);
    assert.ok("filters" in read, "problem" in read ? read.problem : "");
    const [filter] = read.filters;
    assert.ok(filter !== undefined && read.filters.length === 1);
    return filter;
  } finally {
    run("delete", "--force", id);
    closeSync(stdio[2]);
  }
}

describe("what container runtimes load", () => {
  for (const runtime of ["crun", "runc"] as const)
    test(
      `${runtime}`,
      {
        skip:
          !isRoot || !hasRuntime(runtime) || !existsSync("/usr/bin/busybox")
            ? `needs root, ${runtime} and busybox`
            : false,
      },
      drawing(() => {
        const random = dice(seed);
        // What a container needs to start is not touched by the rules under test.
        const tried = [
          "dup2",
          "getpriority",
          "setpriority",
          "personality",
          "alarm",
          "pause",
          "umask",
          "flock",
        ];
        const open = syscallsOf("x86_64")
          .filter(({ name, since }) => since !== undefined && since.major < 5 && !tried.includes(name))
          .map(({ name }): Rule => ({ name, action: RET_ALLOW, tests: [] }));
        const rules = [...open, ...exclusiveRules(random).filter(({ name }) => tried.includes(name))];
        const loaded = loadedBy(runtime, profileOf(rules));
        // runc answers numbers above all that are named with ENOSYS, the default of this profile too.
        const policy = policyOfProfile(profileOf(rules));
        assert.deepEqual(
          differencesOf(loaded, policy).map((one) => `${one.syscall} ${one.condition}`),
          [],
        );
      }),
    );
});
