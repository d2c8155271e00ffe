// Policies that are larger than the kernel takes: started under several filters, and written to several files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { MAX_INSTRUCTIONS, readFilter } from "../../src/bpf/index.ts";
import { loadPolicy } from "../../src/index.ts";
import { diff } from "../../src/proof/index.ts";
import { syscallsOf } from "../../src/syscalls/index.ts";
import { callgate } from "../cli/callgate.ts";
import { launch, numbers, scratchFile, scratchPath, shellPlan } from "./native.ts";

/** Sixteen values of the first argument for each of many calls, another sixteen for each. */
const conditions = syscallsOf("x86_64")
  .filter(({ since, args }) => since !== undefined && since.major < 6 && (args?.length ?? 0) > 0)
  .filter(({ name }) => !["personality", "execve", "execveat", "seccomp"].includes(name))
  .slice(0, 220)
  .map(({ name }, at) => `errno(${(at % 9) + 90}) ${name}(args[0] in {${values(at).join(", ")}})`);

function values(at: number): readonly string[] {
  return Array.from(
    { length: 16 },
    (_, index) => `0x7a${(at * 64 + index * 3 + 4096).toString(16).padStart(6, "0")}`,
  );
}

const large = scratchFile(
  "large.toml",
  `version = 1
[syscalls]
default = "allow"
baseline = "6.1"
rules = '''
${conditions.join("\n")}
errno(EBUSY) personality(persona == 3)
deny execve, execveat, seccomp
'''
`,
);

describe("a policy of more than 4096 instructions", () => {
  test("a program is started under all its filters, by one key, and the kernel answers as the policy says", () => {
    const script = `import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    return ctypes.get_errno() if result < 0 else "ok"
print(call(135, 3), call(135, 0xffffffff), call(59, 0, 0, 0), call(317, 0, 0, 0))
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp_filters")][0])
`;
    const { stdout, stderr, status } = callgate([
      "run",
      "--filter-only",
      "--policy",
      large,
      "--",
      "/usr/bin/python3",
      "-c",
      script,
    ]);
    assert.equal(status, 0, stderr);
    const [answers, count] = stdout.trim().split("\n");
    if (numbers.uname === 63) assert.equal(answers, "16 ok 1 1");
    assert.ok(Number(count) > 1, stdout);
  });

  test("plan says how many there are; reports and learning, which have one filter, say why not", () => {
    const plan = callgate(["plan", "--filter-only", "--policy", large, "--", "true"]);
    assert.ok((plan.stdout.match(/^filter +\d+ instructions/gm) ?? []).length > 1, plan.stdout);
    const reported = callgate(["run", "--report=end", "--filter-only", "--policy", large, "--", "true"]);
    assert.equal(reported.status, 0, reported.stderr);
    assert.match(reported.stderr, /no reports of denied calls: the policy is too large/);
    const learned = callgate(["learn", "-o", large, "--", "true"]);
    assert.equal(learned.status, 2);
    assert.match(learned.stderr, /too large to be learned with: the filter has \d+ instructions/);
  });

  test("compile says what to do, and --stack writes files that are proved together", () => {
    const out = scratchPath("large.bpf");
    const refused = callgate(["compile", large, "-o", out]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /kernel takes 4096 at most: --stack -o FILE writes several filters/);
    const { status, stderr } = callgate(["compile", "--stack", large, "-o", out]);
    assert.equal(status, 0, stderr);
    const files = [...stderr.matchAll(/^(\S+-\d+\.bpf): (\d+) instructions, proved/gm)].map(
      ([, file = ""]) => file,
    );
    assert.ok(files.length > 1, stderr);
    assert.match(stderr, new RegExp(`all ${files.length} together are proved equal to the policy`));
    const filters = files.map((file) => readFilter(readFileSync(file)));
    for (const { instructions } of filters) assert.ok(instructions.length <= MAX_INSTRUCTIONS);
    const { policy } = loadPolicy(large);
    assert.ok(policy !== undefined);
    assert.deepEqual(diff(filters, policy), []);
    // In this order they can be installed: none but the last refuses seccomp.
    const steps = filters.slice(0, -1).map(({ bytes }) => ({ kind: "filter", bytes, patches: [] }) as const);
    const started = launch(shellPlan([{ kind: "noNewPrivileges" }, ...steps], "echo started"));
    assert.notEqual(started.status, 125, started.stderr);
  });

  test("--stack writes one file where one filter is enough, and nothing to standard output", () => {
    const out = scratchPath("small.bpf");
    const { status, stderr } = callgate(["compile", "--stack", "strict", "-o", out]);
    assert.equal(status, 0);
    assert.match(stderr, /small\.bpf: \d+ instructions, proved equal to the policy\n$/);
    assert.equal(callgate(["compile", "--stack", "strict"]).status, 2);
  });

  test("check warns of it, and says where that matters", () => {
    const { status, stdout, stderr } = callgate(["check", large]);
    assert.match(stdout + stderr, /warning filter-too-large: .*run starts programs under several filters/);
    assert.notEqual(status, 2);
  });
});
