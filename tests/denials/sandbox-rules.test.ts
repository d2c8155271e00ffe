/** A refusal by a rule of the sandbox's own names what would permit the call, of every such rule. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { layerOption } from "../../src/denials/describe-denial.ts";
import { describeDenial, explainDenial } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/index.ts";
import { withSandboxRules } from "../../src/sandbox/sandbox-rules.ts";
import { syscallNumber } from "../../src/syscalls/index.ts";

const { policy } = readPolicy(
  'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\n[hardening]\nnew-code = "deny"\nexec = "files"\n',
);

const calls: readonly (readonly [call: string, args: readonly bigint[], named: RegExp])[] = [
  ["ioctl", [0n, 0x5412n, 0n], /--filter-only, and no rule that asks/],
  ["socket", [38n, 5n, 0n], /--net/],
  ["shmget", [0n, 0n, 0n], /user namespaces .*, or --filter-only/],
  ["prlimit64", [1n, 0n, 0n, 0n], /user namespaces .*, or --filter-only/],
  ["setpriority", [0n, 1n, 0n], /user namespaces .*, or --filter-only/],
  ["mprotect", [0n, 0n, 6n], /new-code = "allow"/],
  ["memfd_create", [0n, 0n], /exec = "any"/],
];

for (const [call, args, named] of calls)
  test(call, () => {
    assert.ok(policy !== undefined);
    const nr = syscallNumber("x86_64", call);
    assert.ok(nr !== undefined);
    const inside = withSandboxRules(policy, false);
    const raw = { abi: "x86_64", nr, args, count: 1, program: "p", pid: 1 } as const;
    const denial = explainDenial(inside, raw, "x86_64");
    assert.ok(denial !== undefined);
    assert.match(denial.permit ?? "", named);
    assert.match(describeDenial(denial, inside), new RegExp(`to permit: {2}.*${named.source}`));
  });

test("no rule of the sandbox is without it", () => {
  assert.ok(policy !== undefined);
  for (const mode of ["off", "ports"] as const)
    for (const hasNamespaces of [true, false]) {
      const inside = withSandboxRules({ ...policy, network: { mode, ports: [] } }, hasNamespaces);
      assert.ok(inside.syscalls.require.length > 3);
      for (const rule of inside.syscalls.require) assert.match(layerOption(rule) ?? "", /\S/, rule.reason);
    }
});
