// Each lint by a table: what it finds, and above all what it leaves alone.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { returnValueOfDecision } from "../../src/compiler/index.ts";
import { builtinPolicies, builtinPolicyText, readPolicy } from "../../src/formats/index.ts";
import { readText } from "../../src/formats/load.ts";
import { lint } from "../../src/lint/index.ts";
import { idleItems, isHarmless, redundantItems } from "../../src/lint/reach.ts";
import { subjectOf } from "../../src/lint/subject.ts";
import { printAction } from "../../src/policy/action.ts";
import { evaluateWords } from "../../src/policy/evaluate.ts";
import { printRule } from "../../src/policy/printer.ts";
import { resolve } from "../../src/policy/resolve.ts";
import { abiOfNumber, type Decision } from "../../src/policy/resolved.ts";
import { abis } from "../../src/syscalls/index.ts";
import { brief, fileOf, policyOfText, target } from "../policy/reading.ts";
import { callsOn, written } from "../property/arbitrary.ts";
import { randomOf } from "../seed.ts";

/** What programs need in any case, so that only the lint in question speaks. */
const base = "allow @default";

function found(rules: string, head = ""): readonly string[] {
  const policy = policyOfText(fileOf(rules, head), { filename: "p.toml" });
  return lint(policy, { target }).map((one) => brief(one).replace(/^(\S+) \d+:\d+ /, "$1 "));
}

interface Case {
  readonly rules: string;
  readonly head?: string;
  readonly finds: readonly string[];
}

function cases(name: string, table: readonly Case[]): void {
  describe(name, () => {
    for (const { rules, head, finds } of table)
      test(rules.replaceAll("\n", " / "), () => assert.deepEqual(found(`${rules}\n${base}`, head), finds));
  });
}

cases("unreachable-rule", [
  {
    rules: "deny ptrace\nallow ptrace(request == 0)   # x",
    finds: ['unreachable-rule "allow ptrace(request == 0)"'],
  },
  {
    rules: "deny ptrace\nallow kill, ptrace(request == 0)   # x",
    finds: ['unreachable-rule "ptrace(request == 0)"'],
  },
  { rules: "allow ptrace(request == 0)\ndeny ptrace   # x", finds: [] },
  {
    rules: "allow kill(sig < 10)\nallow kill(sig >= 10)\ndeny kill   # x",
    finds: ['unreachable-rule "deny kill"'],
  },
  { rules: "allow x86:socketcall", finds: [] },
]);

cases("redundant-rule", [
  { rules: "allow kill, @signal, rt_sigaction", finds: ['redundant-rule "rt_sigaction"'] },
  { rules: "allow rt_sigaction, @signal", finds: ['redundant-rule "rt_sigaction"'] },
  { rules: "deny keyctl", finds: ['redundant-rule "deny keyctl"'] },
  { rules: "deny keyctl   # never", finds: [] },
  { rules: "deny keyctl, rt_sigreturn", finds: ['c-library-call "rt_sigreturn"'] },
  // Each alone could go, not both: the second goes.
  { rules: "allow kill\nallow kill", finds: ['unreachable-rule "allow kill"'] },
  { rules: "errno(ENOSYS) clone3\ndeny keyctl(operation == 1)\nallow keyctl", finds: [] },
]);

cases("idle-condition", [
  {
    rules: "allow clone(!(flags & CLONE_NEWUSER))   # x\nallow clone   # y",
    finds: ['idle-condition "clone(!(flags & CLONE_NEWUSER))"'],
  },
  { rules: "deny clone(flags & CLONE_NEWUSER)\nallow clone", finds: [] },
  { rules: "allow socket(domain == AF_UNIX)\nerrno(EAFNOSUPPORT) socket", finds: [] },
  // What is excluded is let through in part, or not at all: the condition does keep something out.
  {
    rules: "allow socket(domain == AF_UNIX)\nallow socket(domain in {AF_UNIX, AF_INET})\nerrno(22) socket",
    finds: ['redundant-rule "allow socket(domain == AF_UNIX)"'],
  },
  {
    rules: "allow prctl(option == 15)\nerrno(22) prctl(option == 22)\nallow prctl",
    finds: ['redundant-rule "allow prctl(option == 15)"'],
  },
  {
    rules: "errno(22) keyctl(operation == 1)\nerrno(22) keyctl",
    finds: ['redundant-rule "errno(22) keyctl(operation == 1)"'],
  },
]);

cases("constant-condition", [
  {
    rules: "deny socket(domain != AF_UNIX || domain != AF_INET)   # x",
    finds: ['constant-condition "domain != AF_UNIX || domain != AF_INET"'],
  },
  {
    rules: "allow socket(domain == AF_UNIX && domain == AF_INET)",
    finds: [
      'unreachable-rule "allow socket(domain == AF_UNIX && domain == AF_INET)"',
      'constant-condition "domain == AF_UNIX && domain == AF_INET"',
    ],
  },
  { rules: "allow close(fd >= 0)", finds: ['constant-condition "fd >= 0"'] },
  {
    rules: "allow clone(flags & 3 == 4)",
    finds: ['unreachable-rule "allow clone(flags & 3 == 4)"', 'constant-condition "flags & 3 == 4"'],
  },
  {
    rules: "allow close(fd in {0..5, 6..0xffff_ffff})",
    finds: ['constant-condition "fd in {0..5, 6..0xffff_ffff}"'],
  },
  { rules: "allow close(fd in {0..5, 7..0xffff_ffff})", finds: [] },
  { rules: "allow kill(pid > -1)", finds: [] },
  { rules: "allow write(fd in {1, 2} && !(fd == 1))", finds: [] },
]);

cases("zero-mask", [
  {
    rules: "allow open(flags & O_RDONLY)",
    finds: ['unreachable-rule "allow open(flags & O_RDONLY)"', 'zero-mask "flags & O_RDONLY"'],
  },
  { rules: "allow open(flags & O_ACCMODE == O_RDONLY)", finds: [] },
]);

cases("equal-flags", [
  {
    rules: "deny unshare(flags == CLONE_NEWUSER)\nallow unshare",
    finds: ['equal-flags "flags == CLONE_NEWUSER"'],
  },
  {
    rules: "deny unshare(flags in {CLONE_NEWUSER, CLONE_NEWNS})\nallow unshare",
    finds: ['equal-flags "flags in {CLONE_NEWUSER, CLONE_NEWNS}"'],
  },
  { rules: "allow unshare(flags != CLONE_NEWUSER)", finds: ['equal-flags "flags != CLONE_NEWUSER"'] },
  { rules: "allow unshare(!(flags == CLONE_NEWUSER))", finds: ['equal-flags "flags == CLONE_NEWUSER"'] },
  { rules: "allow openat(flags == O_RDONLY)", finds: ['equal-flags "flags == O_RDONLY"'] },
  { rules: "allow openat(flags within O_CLOEXEC)", finds: [] },
  { rules: "deny shmat(shmflg == SHM_EXEC)\nallow shmat", finds: ['equal-flags "shmflg == SHM_EXEC"'] },
  // Exactly these, and nothing else: what it misses is refused.
  { rules: "allow unshare(flags == CLONE_FILES)", finds: [] },
  { rules: "deny unshare(flags == 0)\nallow unshare", finds: [] },
  { rules: "deny unshare(flags & CLONE_NEWUSER == CLONE_NEWUSER)\nallow unshare", finds: [] },
  { rules: "allow pkey_mprotect(prot == PROT_READ)", finds: [] },
]);

cases("unmasked-socket-type", [
  { rules: "deny socket(type == SOCK_RAW)\nallow socket", finds: ['unmasked-socket-type "type"'] },
  { rules: "allow socketpair(type in {SOCK_STREAM, SOCK_DGRAM})", finds: ['unmasked-socket-type "type"'] },
  { rules: "allow socket(type in {SOCK_STREAM, SOCK_STREAM | SOCK_CLOEXEC})", finds: [] },
  { rules: "deny socket(type & SOCK_TYPE_MASK == SOCK_RAW)\nallow socket", finds: [] },
  { rules: "allow syslog(type == 3)", finds: [] },
]);

cases("wide-argument", [
  { rules: "deny fcntl(cmd == F_SETFD && arg == 0)\nallow fcntl", finds: ['wide-argument "arg"'] },
  {
    rules: "deny prctl(option == PR_SET_DUMPABLE && arg2 in {1, 2})\nallow prctl",
    finds: ['wide-argument "arg2"'],
  },
  { rules: "allow prctl(option == PR_SET_DUMPABLE && arg2 != 1)", finds: ['wide-argument "arg2"'] },
  { rules: "allow prctl(option == PR_SET_DUMPABLE && arg2 == 0)", finds: [] },
  { rules: "deny prctl(option == PR_SET_DUMPABLE && arg2 & 0xffff_ffff == 1)\nallow prctl", finds: [] },
  { rules: "deny prctl(option == PR_SET_DUMPABLE)\nallow prctl", finds: [] },
]);

cases("condition-on-last", [
  { rules: "allow read, write(fd == 1)", finds: ['condition-on-last "write(fd == 1)"'] },
  { rules: "allow read(fd == 1), write(fd == 1)", finds: [] },
  { rules: "allow setsid, write(fd == 1)", finds: [] },
  { rules: "allow @signal, write(fd == 1)", finds: [] },
]);

cases("raw-word", [
  { rules: "deny socket(args[0] == 16)\nallow socket", finds: ['raw-word "args[0]"'] },
  { rules: "allow close(ip > 4096)", finds: ['raw-word "ip"'] },
]);

cases("open-successor", [
  { rules: "deny openat   # x\nallow openat2", finds: ['open-successor "openat"'] },
  {
    rules: "allow clone(!(flags & CLONE_NEWUSER))\nallow clone3",
    finds: ['open-successor "clone(!(flags & CLONE_NEWUSER))"'],
  },
  { rules: "deny clone(flags & CLONE_NEWUSER)\nerrno(ENOSYS) clone3\nallow clone", finds: [] },
  { rules: "deny mount   # x\nallow move_mount", finds: ['open-successor "mount"'] },
  { rules: "deny clone   # x\nallow unshare", finds: [] },
  // Refused by default, and by no rule: nobody has said anything of clone.
  { rules: "allow clone3", finds: [] },
  { rules: "deny stat # x\nallow statx", finds: [] },
  { rules: "deny ptrace # x\ndeny process_vm_readv # x\nallow process_vm_writev(pid == 0)", finds: [] },
]);

cases("io-uring-open", [
  { rules: "allow @aio", finds: ['io-uring-open "allow @aio"'] },
  { rules: "allow @system-service\ndeny kexec_load   # x", finds: ['unreachable-rule "allow @default"'] },
  { rules: "errno(ENOSYS) io_uring_setup\nallow @aio", finds: [] },
]);

cases("baseline-too-new", [
  { rules: "allow kill", head: 'baseline = "99.0"', finds: ['baseline-too-new "\\"99.0\\""'] },
  { rules: "allow kill", head: 'baseline = "6.1"', finds: [] },
]);

cases("multiplexed-loss", [
  {
    rules: "deny socket(domain == AF_NETLINK)\nallow socket",
    head: 'abis = ["x86_64", "x86"]',
    finds: ['multiplexed-loss "socket(domain == AF_NETLINK)"'],
  },
  { rules: "deny socket(domain == AF_NETLINK)\nallow socket", head: 'abis = ["x86_64"]', finds: [] },
  {
    rules: "deny socket\nallow bind",
    head: 'abis = ["x86_64", "x86"]',
    finds: ['redundant-rule "deny socket"'],
  },
]);

test("c-library-call speaks of what no rule allows, once", () => {
  assert.deepEqual(found("allow read, write"), ["c-library-call"]);
  assert.deepEqual(found("deny read   # only a part of other policies"), []);
  assert.deepEqual(found("kill rseq\nallow @default"), ['c-library-call "rseq"']);
  assert.deepEqual(found("errno(ENOSYS) rseq\nallow @default"), []);
  assert.deepEqual(found("deny mprotect\nallow @default"), ['c-library-call "mprotect"']);
  assert.deepEqual(found("deny mprotect(prot & PROT_EXEC)\nallow @default"), []);
});

test("c-library-call asks of each ABI for its own way to thread-local storage", () => {
  const on = (abi: string, name: string): readonly string[] =>
    found(`deny ${name}   # x\nallow @default`, `abis = ["${abi}"]`);
  assert.deepEqual(on("x86_64", "arch_prctl"), ['c-library-call "arch_prctl"']);
  assert.deepEqual(on("x86_64", "set_thread_area"), []);
  assert.deepEqual(on("x86", "arch_prctl"), []);
  assert.deepEqual(on("x86", "set_thread_area"), ['c-library-call "set_thread_area"']);
  assert.deepEqual(on("mips64", "set_thread_area"), ['c-library-call "set_thread_area"']);
  assert.deepEqual(on("arm", "set_tls"), ['c-library-call "set_tls"']);
  assert.deepEqual(on("aarch64", "mprotect"), ['c-library-call "mprotect"']);
  assert.deepEqual(on("x86", "sigreturn"), ['c-library-call "sigreturn"']);
});

/** What the lints say of policies that people use, each with the reason why it stays. */
const argued: Readonly<Record<string, readonly string[]>> = {
  // The price of closing address families to 32-bit programs of a container: a note that tells whoever needs them.
  container: ["multiplexed-loss"],
};

describe("policies that are used", () => {
  for (const name of builtinPolicies()) {
    test(`built-in ${name} has no finding but ${argued[name]?.length ?? 0}`, () => {
      const { policy } = readPolicy(builtinPolicyText(name) ?? "", { filename: name, target });
      assert.ok(policy !== undefined);
      const ids = lint(policy, { target }).map((one) => one.id);
      assert.deepEqual(ids, argued[name] ?? []);
    });
  }
});

test("what is extended is checked where it is written", () => {
  const text = 'version = 1\nextends = ["default"]\n[syscalls]\nrules = "allow ptrace"\n';
  const policy = policyOfText(text, { filename: "p.toml" });
  const own = lint(policy, { target, isOwn: (source) => source.name === "p.toml" });
  assert.deepEqual(
    own.map((one) => one.span?.source.name).filter((name) => name !== "p.toml"),
    [],
  );
});

test("random policies: nothing throws, and what is redundant or idle can all be left out", () => {
  fc.assert(
    fc.property(written, fc.integer(), (one, start) => {
      const head = [
        `default = "${printAction(one.default)}"`,
        ...(one.baseline === undefined ? [] : [`baseline = "${one.baseline}"`]),
        `newer = "${printAction(one.newer)}"`,
        `abis = ${JSON.stringify(one.abis)}`,
        `other-abis = "${printAction(one.otherAbis)}"`,
        `multiplexed = "${one.multiplexed}"`,
      ].join("\n");
      const read = readPolicy(fileOf(one.rules.map(printRule).join("\n"), head), {
        filename: "p.toml",
        target,
      });
      if (read.policy === undefined) return;
      lint(read.policy, { target });
      const subject = subjectOf(read.policy, { target });
      const idle = idleItems(subject).filter((item) => isHarmless(subject, item));
      const out = new Set(
        [...idle, ...redundantItems(subject).map((found) => found.item)].map((item) => item.single),
      );
      if (out.size === 0) return;
      const all = subject.resolved.policy;
      const rules = all.syscalls.rules.filter((rule) => !out.has(rule));
      const kept = { ...all, syscalls: { ...all.syscalls, rules } };
      const { resolved } = resolve(kept, target);
      const random = randomOf(start);
      for (const { words, expected } of callsOn(read.policy, random, 60)) {
        const [nr = 0, arch = 0] = words;
        const owner = abis.find((one) => one.arch === arch)?.name;
        const abi = owner === undefined ? undefined : abiOfNumber(owner, nr);
        const decision: Decision =
          abi === undefined
            ? { ...resolved.otherAbis, rule: undefined }
            : evaluateWords(resolved, abi, nr, (index) => BigInt(words[index] ?? 0));
        assert.equal(returnValueOfDecision(decision, abi, resolved), expected);
      }
    }),
    { numRuns: 150 },
  );
});

/** Warnings of the fixtures that were looked at and are true; when a fixture is mended it has fewer. */
const trueOfFixtures: Readonly<Record<string, readonly string[]>> = {
  // kill(pid == -1) is refused, and tkill and rt_sigqueueinfo are open.
  "agent-shell.toml": ["open-successor"],
  // clone's namespaces are refused and unshare's are not; chroot is in @mount, which is refused above.
  "browser.toml": ["open-successor", "unreachable-rule"],
  // clone's condition is undone by @process below it; process_vm_writev is open beside ptrace.
  "build.toml": ["idle-condition", "open-successor"],
  "compute.toml": ["c-library-call"],
  // "strict" costs 32-bit programs of the container their sockets: the price of the rule, and said.
  "lxc-web.toml": ["multiplexed-loss"],
  // write is bound to descriptors, and pwrite64 is not.
  "pdf.toml": ["open-successor", "c-library-call"],
  // Both refuse the first call whole on purpose, which the lint cannot know: two rules would say so.
  "python.toml": ["condition-on-last", "c-library-call"],
  "redis.toml": ["condition-on-last"],
};

test("the fixtures are linted as they are", () => {
  const folder = join(import.meta.dirname, "..", "..", "..", "tests", "fixtures", "policies");
  const ids = new Map<string, readonly string[]>();
  for (const file of readdirSync(folder).sort()) {
    const { policy } = readPolicy(readFileSync(join(folder, file), "utf8"), {
      filename: join(folder, file),
      target,
      resolve: (path, from) => readText(join(from ?? "", "..", path)),
    });
    assert.ok(policy !== undefined, file);
    const own = lint(policy, { target, isOwn: (source) => source.name.endsWith(`/${file}`) });
    ids.set(
      file,
      own.filter((one) => one.severity !== "note").map((one) => one.id),
    );
  }
  for (const [file, found] of ids)
    assert.deepEqual(
      found.filter((id) => !trueOfFixtures[file]?.includes(id)),
      [],
      file,
    );
});
