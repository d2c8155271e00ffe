// LXC profiles, read and written. What the real LXC makes of them is tried in tests/lxc/profile-quirks.test.ts.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { readLxcProfile } from "../../src/formats/lxc-profile/read.ts";
import { warningsAbout } from "../../src/formats/lxc-profile/warnings-about.ts";
import { writeLxcProfile } from "../../src/formats/lxc-profile/write.ts";
import { writePolicy } from "../../src/formats/write.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { compareStackMembers } from "../../src/proof/index.ts";

const target = "x86_64";

function read(text: string) {
  return readLxcProfile({ name: "common.seccomp", text }, { target });
}

function readSound(text: string): Policy {
  const { policy, diagnostics } = read(text);
  assert.ok(policy !== undefined, diagnostics.map((one) => one.message).join("; "));
  return policy;
}

function policyOf(rules: string, head = 'default = "allow"\nbaseline = "7.2"'): Policy {
  const text = `version = 1\n[syscalls]\n${head}\nabis = ["all"]\nrules = '''\n${rules}\n'''\n`;
  const { policy, diagnostics } = readPolicy(text, { target });
  assert.ok(policy !== undefined, diagnostics.map((one) => one.message).join("; "));
  return policy;
}

const common = `2
denylist
reject_force_umount  # comment this to allow umount -f;  not recommended
[all]
kexec_load errno 1
open_by_handle_at errno 1
init_module errno 1
finit_module errno 1
delete_module errno 1
`;

test("LXC's own common.seccomp: five names and forced umount, on all three ABIs", () => {
  const { policy, diagnostics } = read(common);
  assert.deepEqual(diagnostics, []);
  assert.ok(policy !== undefined);
  const errnoOf = (abi: "x86_64" | "x86" | "x32", syscall: string, ...args: bigint[]) => {
    const { action } = evaluate(policy, { abi, syscall, args }, { target });
    return action.kind === "errno" ? action.errno : action.kind;
  };
  for (const abi of ["x86_64", "x86", "x32"] as const) {
    for (const name of ["kexec_load", "open_by_handle_at", "init_module", "finit_module", "delete_module"])
      assert.equal(errnoOf(abi, name), 1, `${abi} ${name}`);
    assert.equal(errnoOf(abi, "umount2", 0n, 3n), "EACCES");
    assert.equal(errnoOf(abi, "umount2", 0n, 2n), "allow");
    assert.equal(errnoOf(abi, "mkdir"), "allow");
    assert.equal(errnoOf(abi, "mount"), "allow");
  }
  // A wide register passes 64-bit comparisons only where LXC masks nothing: umount's flag is masked.
  assert.equal(errnoOf("x86_64", "umount2", 0n, (1n << 40n) | 1n), "EACCES");
});

test("what LXC compares as 64 bits is read as 64 bits", () => {
  const policy = readSound("2\ndenylist\nsocket errno 97 [0,38,==]\n");
  const actionOf = (abi: "x86_64" | "x86", domain: bigint) =>
    evaluate(policy, { abi, syscall: "socket", args: [domain] }, { target }).action.kind;
  assert.equal(actionOf("x86_64", 38n), "errno");
  assert.equal(actionOf("x86_64", 38n + (1n << 32n)), "allow");
  assert.equal(actionOf("x86", 38n), "allow");
});

test("what was read is written as it was: whole arguments, calls behind others, on the ABIs where LXC applies it", () => {
  const lines = [
    "mkdir errno 13 [1,0x2,==]",
    "ioctl errno 1 [1,0x9400,SCMP_CMP_MASKED_EQ,0xff00]",
    "socket errno 97 [0,0x26,==]",
    "connect errno 13",
    "socketcall errno 97",
    "prctl errno 1 [0,0x2,>=][1,0x5,<=]",
  ];
  const { text, losses } = writeLxcProfile(readSound(`2\ndenylist\n${lines.join("\n")}\n`), { target });
  assert.deepEqual(losses, []);
  assert.deepEqual(
    text
      .split("\n")
      .filter((line) => / errno /.test(line))
      .sort(),
    [...lines].sort(),
  );
});

test("a policy for one ABI only: LXC's rules are for all, and that is said", () => {
  const { policy } = readPolicy(
    'version = 1\n[syscalls]\ndefault = "deny"\nabis = ["x86_64"]\nrules = "allow read"\n',
    { target },
  );
  assert.ok(policy !== undefined);
  const { losses } = writeLxcProfile(policy, { target });
  assert.match(losses.map(({ message }) => message).join("\n"), /^LXC's rules are for x86 and x32 as well/m);
});

test("warnings are told of the call that they are about", () => {
  const { diagnostics } = read(
    "2\ndenylist\n[x86]\nkeyctl\t\nptrace errno 1 [0,7,&=]\n[all]\nmkdir errno 1\nmkdir errno 2\n",
  );
  const about = (call: string) => warningsAbout(call, diagnostics).map(({ id }) => id);
  assert.deepEqual(about("keyctl"), ["lxc-section-idle", "lxc-unknown-name"]);
  assert.deepEqual(about("x86:keyctl(0)"), ["lxc-section-idle", "lxc-unknown-name"]);
  assert.deepEqual(about("ptrace(request == 7)"), ["lxc-section-idle", "lxc-no-mask"]);
  assert.deepEqual(about("mkdir"), ["lxc-rule-loses"]);
  assert.deepEqual(about("key"), []);
});

test("a refused file names the line and what LXC takes", () => {
  const { policy, diagnostics } = read("2\ndenylist\nmkdir errno 13\nchmod log\n");
  assert.equal(policy, undefined);
  const [first] = diagnostics;
  assert.equal(first?.id, "lxc-action");
  assert.equal(first?.span?.source.text.slice(first.span.start, first.span.end), "log");
});

describe("written profiles", () => {
  const exact: readonly string[] = [
    "deny keyctl, add_key, request_key",
    "errno(ENOSYS) io_uring_setup",
    "kill-thread ptrace",
    "trap personality",
    "deny clone(flags & (CLONE_NEWUSER | CLONE_NEWNS))",
    "deny ioctl(request in {TIOCSTI, TIOCLINUX})",
    "deny personality(persona != 0)",
    "deny prctl(option in {1..9})",
    "deny fcntl(cmd > 1000)",
    "deny prctl(option not in {1..9, 20})",
    "deny dup3(flags within O_CLOEXEC)",
    "allow prctl(option == 3)\ndeny prctl",
    "deny prctl(option == 3)\nerrno(ENOSYS) prctl(option < 6)",
    "deny prctl(option == 3 && !(option == 4 || option & 8))",
  ];
  for (const rules of exact) {
    test(`say all of: ${rules}`, () => {
      const policy = policyOf(rules, 'default = "allow"\nbaseline = "7.2"\nnewer = "allow"');
      const { text, losses } = writeLxcProfile(policy, { target });
      assert.deepEqual(losses, []);
      const back = resolveSound(readSound(text), target);
      const verdict = compareStackMembers([{ resolved: back }], [{ resolved: resolveSound(policy, target) }]);
      // What differs at most is how foreign architectures die.
      const isForeign = verdict.verdict === "different" && verdict.witness.abi === undefined;
      assert.ok(
        verdict.verdict === "equal" || isForeign,
        `${text}${JSON.stringify(verdict, (_, v) => String(v))}`,
      );
    });
  }

  const lossy: readonly (readonly [rules: string, loss: RegExp])[] = [
    ["deny mseal", /mseal: libseccomp does not know/],
    ["deny socket", /socket: LXC does not apply rules on it on every ABI/],
    ["deny socket(domain == AF_VSOCK)", /socket: LXC does not apply/],
    ["log keyctl", /keyctl: LXC has no action log/],
    ["kill keyctl", /keyctl: LXC's kill ends the thread/],
    ["x86_64:deny keyctl", /keyctl: it is decided differently on different ABIs/],
    ["deny prctl(option & 0xff > 7)", /prctl: it compares an argument's masked bits by size/],
  ];
  for (const [rules, loss] of lossy) {
    test(`name what they cannot say of: ${rules}`, () => {
      const fixed = rules.replace(/^(x86_64:)(\w+) (\w+)$/, "$2 $1$3");
      const policy = policyOf(fixed.replace("option & 0xff > 7", "(option & 0xff) > 7"));
      const { losses } = writeLxcProfile(policy, { target });
      assert.match(losses.map((one) => `${one.syscall}: ${one.message}`).join("\n"), loss);
    });
  }

  test("below an exact filter they are never the stricter part", () => {
    const { policy: container } = readPolicy(JSON.stringify({ version: 1, extends: ["container"] }), {
      target,
    });
    assert.ok(container !== undefined);
    const policies = [
      container,
      policyOf("allow ptrace(request == 0)\nkill ptrace\ndeny mount(flags & MS_BIND)\nerrno(ENOSYS) mount"),
      policyOf(
        "allow read, write, exit_group, openat(flags & O_ACCMODE == O_RDONLY)".replace(
          "flags & O_ACCMODE == O_RDONLY",
          "(flags & 3) == 0",
        ),
        'default = "deny"',
      ),
    ];
    for (const policy of policies) {
      const { text, rules } = writeLxcProfile(policy, { target, below: true });
      assert.ok(rules.length > 0);
      const own = { resolved: resolveSound(policy, target) };
      const both = [{ resolved: resolveSound(readSound(text), target) }, own];
      assert.equal(compareStackMembers(both, [own]).verdict, "equal", text);
    }
  });
});

// The profiles that other projects ship are not ours to copy; where they are at hand they are read too.
const folder = "/work/shared/profiles";
const shipped = existsSync(folder)
  ? readdirSync(folder).filter((file) => /\.(seccomp|conf)$/.test(file))
  : [];
/** What there is to warn of in each; of the others nothing. */
const warned: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "incus-deny_compat.seccomp": { "lxc-section-idle": 1, "lxc-unknown-name": 34 },
  "lxc-example-v2-allowlist.conf": { "lxc-section-idle": 2 },
  "proxmox-pve-userns-2026-04.seccomp": { "lxc-multiplexed": 1 },
  "proxmox-pve-userns-mknod.seccomp": { "lxc-multiplexed": 1 },
};
for (const file of shipped) {
  test(`${file} is read, with the right warnings, and written as it was`, () => {
    const { policy, diagnostics } = read(readFileSync(`${folder}/${file}`, "utf8"));
    assert.ok(policy !== undefined);
    const counts: Record<string, number> = {};
    for (const { id } of diagnostics) counts[id] = (counts[id] ?? 0) + 1;
    assert.deepEqual(counts, warned[file] ?? {});
    const toml = readPolicy(writePolicy(policy, "toml").text, { target }).policy;
    assert.ok(toml !== undefined);
    const { text, losses } = writeLxcProfile(toml, { target });
    // Version 1 is for one ABI, which version 2 cannot say.
    if (file === "lxc-example-v1.conf") {
      assert.match(losses[0]?.message ?? "", /rules are for x86 and x32 as well/);
      return;
    }
    assert.deepEqual(losses, []);
    const verdict = compareStackMembers(
      [{ resolved: resolveSound(readSound(text), target) }],
      [{ resolved: resolveSound(policy, target) }],
    );
    assert.equal(verdict.verdict, "equal");
  });
}
