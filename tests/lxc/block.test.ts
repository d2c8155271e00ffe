// The lines that enable adds, without any container.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Filter, filterOf, RET_ALLOW } from "../../src/bpf/index.ts";
import { applyFixes } from "../../src/diagnostics/index.ts";
import { readLxcProfile } from "../../src/formats/lxc-profile/read.ts";
import { blockOf, hasBlock, rewriteFolder, withBlock, withoutBlock } from "../../src/lxc/block.ts";
import { readConfigText } from "../../src/lxc/config.ts";
import {
  compareMade,
  compareWithPolicy,
  keyOf,
  protectionOf,
  splitCommand,
} from "../../src/lxc/protection.ts";
import { readStatements } from "../../src/lxc/statements.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { hostAbi } from "../../src/syscalls/index.ts";

const block = (folder: string) =>
  blockOf({
    folder,
    callgate: "/opt/call gate/bin/callgate",
    tracer: "/opt/tracer",
    hook: "/opt/hook",
    statements: [],
    watchable: true,
  });

describe("the block", () => {
  for (const text of [
    "",
    "a = b\n",
    "a = b",
    "\n\n",
    "# no end",
    "lxc.include = /x\nsyscall.deny = keyctl\n",
  ]) {
    test(`comes and goes without a trace: ${JSON.stringify(text)}`, () => {
      const once = withBlock(text, block("/var/lib/lxc/web"));
      assert.ok(hasBlock(once));
      assert.equal(withoutBlock(once), text);
      assert.equal(withBlock(once, block("/var/lib/lxc/web")), once);
    });
    test(`keeps what is written behind it: ${JSON.stringify(text)}`, () => {
      const added = `${withBlock(text, block("/x"))}lxc.uts.name = later\n`;
      const ended = text === "" || text.endsWith("\n") ? text : `${text}\n`;
      assert.equal(withoutBlock(added), `${ended}lxc.uts.name = later\n`);
    });
  }

  test("a folder with blanks and quotes is one word to the shell and to fstab", () => {
    const lines = block("/srv/it's here");
    assert.ok(
      lines.includes(
        "lxc.hook.pre-start = /opt/hook /srv/it\\'s\\ here/callgate.kept /opt/call\\ gate/bin/callgate lxc hook pre-start /srv/it\\'s\\ here",
      ),
    );
    assert.ok(
      lines.some((line) =>
        line.startsWith("lxc.mount.entry = /srv/it's\\040here/callgate.init dev/.callgate "),
      ),
    );
  });

  test("a copy's paths are its own, once", () => {
    for (const [from, to] of [
      ["/lxc/a", "/lxc/b"],
      ["/lxc/a", "/lxc/a/snaps/snap0"],
      ["/lxc/a/snaps/snap0", "/lxc/a"],
      ["/srv/it's here", "/srv/a b"],
    ] as const)
      assert.equal(
        rewriteFolder(withBlock("x = /lxc/a/y\n", block(from)), from, to),
        withBlock("x = /lxc/a/y\n", block(to)),
      );
  });
});

describe("statements", () => {
  const read = (text: string) => readStatements(readConfigText({ name: "config", text }), "6.18.0");

  test("count from top to bottom, reasons and all", () => {
    const { policy, diagnostics } = read(
      "  syscall.allow = keyctl(operation == 0)   # fine\nsyscall.deny=keyctl\nsyscall.baseline = 5.15 # old\n#syscall.deny = read\nsyscall.default = allow\n",
    );
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(
      policy?.syscalls.rules.map((rule) => [rule.action.kind, rule.reason]),
      [
        ["allow", "fine"],
        ["errno", undefined],
      ],
    );
    assert.deepEqual(policy?.syscalls.baseline, { major: 5, minor: 15, patch: 0 });
    assert.deepEqual(policy?.syscalls.abis, ["all"]);
  });

  test("of a statement with one value the first counts, and the second is told", () => {
    const { policy, diagnostics } = read("syscall.baseline = 5.1\nsyscall.baseline = 6.1\n");
    assert.deepEqual(policy?.syscalls.baseline, { major: 5, minor: 1, patch: 0 });
    assert.deepEqual(
      diagnostics.map((one) => one.id),
      ["repeated-statement"],
    );
  });

  test("all mistakes are told at once: keys that are wrong, and names", () => {
    const { policy, diagnostics } = read(
      "lxc.syscall.deny = keyctl\nsyscall.baselin = 5.1\nsyscall.baseline = 5.1\nsyscall.deny = keyclt\n",
    );
    assert.equal(policy, undefined);
    assert.deepEqual(
      diagnostics.map((one) => one.id),
      ["lxc-key", "unknown-statement", "unknown-syscall"],
    );
  });

  test("the baseline that enable wrote gives way to one of the configuration's own, wherever it stands", () => {
    const own = withBlock(
      "syscall.deny = keyctl\n",
      blockOf({
        folder: "/x",
        callgate: "/c",
        tracer: "/t",
        hook: "/h",
        statements: ["syscall.baseline = 6.18"],
        watchable: true,
      }),
    );
    assert.deepEqual(read(own).policy?.syscalls.baseline, { major: 6, minor: 18, patch: 0 });
    const { policy, diagnostics } = read(`${own}syscall.baseline = 5.4\n`);
    assert.deepEqual(policy?.syscalls.baseline, { major: 5, minor: 4, patch: 0 });
    assert.deepEqual(diagnostics, []);
    const { baseline } = read("syscall.policy = container\n").policy?.syscalls ?? {};
    assert.ok(baseline !== undefined);
    assert.deepEqual(read(`${own}syscall.policy = container\n`).policy?.syscalls.baseline, baseline);
  });

  test("a policy's rules come after the statements, its values after theirs", () => {
    const { policy } = read("syscall.policy = container\nsyscall.allow = keyctl\nsyscall.baseline = 5.4\n");
    assert.equal(policy?.syscalls.rules[0]?.action.kind, "allow");
    assert.ok((policy?.syscalls.rules.length ?? 0) > 20);
    assert.deepEqual(policy?.syscalls.baseline, { major: 5, minor: 4, patch: 0 });
  });

  for (const line of ["syscall.rule = ask keyctl", "syscall.newer = ask", "syscall.default = ask # why"])
    test(`nobody can be asked, and the caret stands under the word: ${line}`, () => {
      const text = `${line}\nsyscall.baseline = 5.15\n`;
      const { policy, diagnostics } = read(text);
      assert.equal(policy, undefined);
      const [told, ...more] = diagnostics;
      assert.ok(told?.span !== undefined && more.length === 0);
      assert.equal(told.id, "nobody-to-ask");
      assert.equal(text.slice(told.span.start, told.span.end), "ask");
      assert.equal(applyFixes(diagnostics, { name: "config", text }).text, text.replace("= ask", "= deny"));
    });

  test("no statements, no policy", () => {
    assert.deepEqual(read("lxc.uts.name = a\nxsyscall.deny = read\n"), {
      policy: undefined,
      lines: [],
      bases: [],
      inherits: true,
      consulted: [],
      diagnostics: [],
    });
  });
});

test("a command is taken apart as LXC does", () => {
  assert.deepEqual(splitCommand(`/bin/sh -c "echo 'a b'" x  y`), ["/bin/sh", "-c", "echo 'a b'", "x", "y"]);
});

test("a profile or a filter that says less, or more, than the statements is not proved", () => {
  const { protection } = protectionOf(
    readConfigText({
      name: "/c/config",
      text: "syscall.deny = keyctl, mseal, socket(domain == AF_VSOCK)\nsyscall.baseline = 5.15\n",
    }),
    "6.18.0",
  );
  assert.ok(protection !== undefined);
  const read = (profile: string): Policy => {
    const { policy } = readLxcProfile({ name: "p", text: profile }, { target: hostAbi() ?? "x86_64" });
    assert.ok(policy !== undefined);
    return policy;
  };
  const verdictOf = (profile: string, filter: Filter): string => {
    const stack = [{ resolved: resolveSound(read(profile)) }, { filter }];
    return compareWithPolicy(stack, protection, keyOf(protection.filter, filter)).verdict;
  };
  const { profile } = protection;
  const { filter } = protection.filter;
  assert.equal(verdictOf(profile, filter), "equal");
  assert.equal(verdictOf(`${profile}mkdir errno 1\n`, filter), "different");
  // What has just been made is compared in another way, and a floor with it.
  const madeWith = (text: string, below: string | undefined): string =>
    compareMade(read(text), {
      ...protection,
      floor: below === undefined ? undefined : { file: "f", text: below, policy: read(below) },
    }).verdict;
  const below = "2\ndenylist\nmkdir errno 13\nsocket errno 1 [0,16,==]\n";
  for (const [text, floor, wanted] of [
    [profile, undefined, "equal"],
    ["2\ndenylist\n", undefined, "equal"],
    [`${profile}mkdir errno 1\n`, undefined, "different"],
    [`${profile}socket errno 1 [0,16,==]\n`, undefined, "different"],
    [profile.replace("keyctl errno 1", "keyctl kill"), undefined, "different"],
    [profile.replace("keyctl errno 1", "keyctl errno 2"), undefined, "equal"],
    [below, below, "equal"],
    [`${below}${profile.replace(/^2\n.*\n/, "")}`, below, "equal"],
    [profile, below, "different"],
    [below.replace("errno 13", "errno 12"), below, "different"],
    [below.replace("socket", "socketpair"), below, "different"],
  ] as const)
    assert.equal(madeWith(text, floor), wanted, text);
  // Each instruction that answers: with another answer the whole is not what is stated.
  filter.instructions.forEach((one, at) => {
    if (one.code !== 0x06) return;
    const k = one.k === RET_ALLOW ? 0x0005_0001 : RET_ALLOW;
    const wrong = filterOf(filter.instructions.map((other, index) => (index === at ? { ...one, k } : other)));
    assert.equal(verdictOf("2\ndenylist\n", wrong), "different", `instruction ${at}`);
  });
});
