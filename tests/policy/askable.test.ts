import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explainQuestion, handedUp } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { readFilter } from "../../src/index.ts";
import { whyNotAsked } from "../../src/policy/askable.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { prove } from "../../src/proof/index.ts";
import { compiledFilters } from "../../src/sandbox/compiled-filters.ts";
import { syscallsOf } from "../../src/syscalls/index.ts";

const read = (rules: string, more = ""): ReturnType<typeof readPolicy> =>
  readPolicy(`version = 1\n[syscalls]\ndefault = "deny"\n${more}\nrules = '''\n${rules}\n'''\n`, {
    target: "x86_64",
  });
const ids = (rules: string, more = ""): readonly string[] =>
  read(rules, more)
    .diagnostics.filter(({ severity }) => severity === "error")
    .map(({ id, message }) => `${id}: ${message}`);

describe("what may be asked about", () => {
  test("calls that their scalar arguments describe", () => {
    for (const call of [
      "socket",
      "personality",
      "unshare",
      "ptrace",
      "kill",
      "keyctl",
      "ioctl",
      "prctl",
      "socketpair",
      "pipe2",
      "userfaultfd",
      "setns",
      "clone",
    ])
      assert.deepEqual(ids(`ask ${call}`), [], call);
  });

  test("none whose pointers decide, on any ABI of the policy", () => {
    for (const call of [
      "execve",
      "execveat",
      "open",
      "openat",
      "openat2",
      "connect",
      "bind",
      "sendto",
      "sendmsg",
      "mount",
      "clone3",
      "bpf",
      "init_module",
      "add_key",
      "io_uring_setup",
      "perf_event_open",
      "rt_sigreturn",
      "exit_group",
      "unlink",
      "setxattr",
    ])
      assert.match(ids(`ask ${call}`).join("\n"), /^unaskable-call: \w+ cannot be asked about: /, call);
    assert.match(ids("ask mmap", 'abis = ["all"]').join(), /on x86 its arguments lie in memory/);
    assert.match(ids("ask socket", 'abis = ["all"]').join(), /made through socketcall too/);
    assert.deepEqual(ids("ask x86_64:socket, x86_64:mmap", 'abis = ["all"]'), []);
    assert.match(ids("ask @process").join(), /not all calls of @process can be asked about/);
    assert.match(ids("ask *").join(), /not all calls of \* can be asked about/);
    assert.match(ids("ask x86_64:#257").join(), /openat cannot be asked about: what pathname points to/);
    assert.match(ids("ask x86_64:#9999").join(), /what it takes is not known/);
  });

  test("the caret stands under the selector", () => {
    const { diagnostics } = read("ask socket, openat(flags & O_CREAT)");
    const [{ span } = { span: undefined }] = diagnostics;
    assert.equal(span?.source.text.slice(span.start, span.end), "openat(flags & O_CREAT)");
  });

  test("no default, since it answers for all of them", () => {
    for (const key of ["newer", "other-abis"])
      assert.match(
        ids("allow read", `${key} = "ask"`).join(),
        new RegExp(`unaskable-call: ${key} cannot be ask`),
      );
    const { diagnostics } = readPolicy('version = 1\n[syscalls]\ndefault = "ask"\n');
    assert.match(diagnostics.map(({ message }) => message).join(), /default cannot be ask/);
  });

  test("of every call that may be, each pointer is a known harmless one", () => {
    // What may be asked about has no pointer to a path, an address or a structure, by the arguments' own names.
    const deciding =
      /path|name$|^(addr|msg|msgvec|attr|how|cl_args|uargs|params|argv|envp|sevp|act|set|new_value|rlim|new_limit)$/;
    const allowed = new Set([
      "accept addr",
      "accept4 addr",
      "getsockname addr",
      "getpeername addr",
      "recvfrom addr",
      "memfd_create name",
    ]);
    for (const call of syscallsOf("x86_64")) {
      if (whyNotAsked(call, "x86_64", undefined) !== undefined) continue;
      for (const { name, kind } of call.args ?? [])
        if (kind === "pointer")
          assert.ok(!deciding.test(name) || allowed.has(`${call.name} ${name}`), `${call.name} ${name}`);
    }
  });
});

describe("the filters of a policy that asks", () => {
  const { policy } = read(
    "ask socket(domain == AF_NETLINK)\nallow socket, read, write, execve\nerrno(EAGAIN) keyctl",
  );
  assert.ok(policy !== undefined);

  test("what is loaded hands up refusals and questions, what decides is the policy itself", () => {
    const { notifying, deciding } = compiledFilters(policy, undefined, "x86_64").supervision(true);
    assert.ok(deciding !== undefined);
    assert.equal(
      prove(readFilter(notifying.bytes), handedUp(policy), { target: "x86_64" }).verdict,
      "proved",
    );
    assert.equal(prove(readFilter(deciding.bytes), policy, { target: "x86_64" }).verdict, "proved");
    // The two are not the same: where the policy refuses by an errno, the supervisor has to know.
    assert.equal(prove(readFilter(notifying.bytes), policy, { target: "x86_64" }).verdict, "refuted");
  });

  test("without anybody to ask there is no filter that asks", () => {
    assert.equal(compiledFilters(policy, undefined, "x86_64").supervision(false).deciding, undefined);
  });

  test("a question says what, and which rule asks", () => {
    const raw = {
      abi: "x86_64",
      nr: 41,
      args: [16n, 3n, 0n, 0n, 0n, 0n],
      pid: 7,
      program: "a\u001b[2J",
      count: 1,
    } as const;
    const question = explainQuestion(policy, raw, "x86_64");
    assert.equal(question?.text, "socket(domain = AF_NETLINK, type = SOCK_RAW, protocol = NETLINK_ROUTE)");
    assert.equal(question?.rule?.text, "ask socket(domain == AF_NETLINK)");
    assert.equal(question?.permit, "allow socket(domain == AF_NETLINK && protocol == NETLINK_ROUTE)");
    assert.equal(explainQuestion(policy, { ...raw, args: [2n, 1n, 0n, 0n, 0n, 0n] }, "x86_64"), undefined);
    assert.equal(
      evaluate(policy, { abi: "x86_64", syscall: "socket", args: [16n, 3n, 0n] }).action.kind,
      "ask",
    );
  });
});
