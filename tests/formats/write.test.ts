// Policies written and read again: they decide the same, in every format that can say all of it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { builtinPolicies, builtinPolicyText, readPolicy } from "../../src/formats/index.ts";
import { writePolicy, writtenFormats } from "../../src/formats/write.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
import { compareStackMembers } from "../../src/proof/index.ts";

const target = "x86_64";

function read(text: string): Policy {
  const { policy, diagnostics } = readPolicy(text, { target });
  assert.ok(policy !== undefined, `${text}${diagnostics.map((one) => one.message).join("; ")}`);
  return policy;
}

function assertSame(one: Policy, other: Policy): void {
  const verdict = compareStackMembers(
    [{ resolved: resolveSound(one, target) }],
    [{ resolved: resolveSound(other, target) }],
  );
  assert.equal(
    verdict.verdict,
    "equal",
    JSON.stringify(verdict, (_, value) => String(value)),
  );
}

const profile =
  "2\ndenylist\nreject_force_umount\n[all]\nkexec_load errno 1\nsocket errno 97 [0,38,==]\nmknod notify [1,0x2000,&=,0xf000]\n";
const everything = `version = 1
name = "all \\"of\\" it"
expect = "deny ptrace"
[syscalls]
default = "kill"
baseline = "6.1"
multiplexed = "open"
require = "deny kexec_load  # never"
rules = '''
allow @basic-io, x86:socketcall
errno(ENOSYS) clone3, x86_64:#300(args[2] == 5)
trap(7) personality(persona in {1..9, 0xffffffff})
allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))  # threads
'''
[files]
read = ["/usr", "/it's"]
[network]
mode = "off"
[limits]
memory = "512M"
wall-time = "10s"
[environment]
keep = ["LANG"]
set = { "A" = "b c" }
[hardening]
new-code = "deny"
`;

describe("written and read again", () => {
  const texts = [...builtinPolicies().map((name) => builtinPolicyText(name) ?? ""), profile, everything];
  for (const text of texts) {
    const policy = read(text);
    for (const format of ["toml", "json"]) {
      test(`${policy.name ?? "an LXC profile"} as ${format}`, () => {
        const { text: written, losses } = writePolicy(policy, format, { target });
        assert.deepEqual(losses, []);
        const again = read(written);
        assertSame(policy, again);
        for (const section of ["name", "files", "network", "limits", "environment", "hardening"] as const)
          assert.deepEqual(again[section], policy[section]);
        assert.equal(again.expect?.length, policy.expect?.length);
        assert.deepEqual(
          again.syscalls.rules.map((rule) => rule.reason),
          policy.syscalls.rules.map((rule) => rule.reason),
        );
        assert.equal(writePolicy(again, format, { target }).text, written);
      });
    }
  }

  test("an LXC profile and back is the same profile", () => {
    const common = read("2\ndenylist\nreject_force_umount\n[all]\nkexec_load errno 1\nkeyctl errno 38\n");
    const toml = read(writePolicy(common, "toml", { target }).text);
    const { text, losses } = writePolicy(toml, "lxc", { target });
    assert.deepEqual(losses, []);
    assertSame(read(text), common);
  });

  test("what a format cannot say is listed, and a format that is not there is refused", () => {
    const { losses } = writePolicy(read(everything), "lxc", { target });
    assert.ok(
      losses.some((loss) => loss.startsWith("[files]: ")),
      losses.join("; "),
    );
    assert.ok(
      losses.includes(
        "clone3: it is decided differently on different ABIs, and LXC's rules are for all of them",
      ) || losses.length > 3,
    );
    assert.throws(() => writePolicy(read(profile), "yaml"), /policies are written as toml, json, lxc/);
    assert.deepEqual(writtenFormats, ["toml", "json", "lxc"]);
  });
});
