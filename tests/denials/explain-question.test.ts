/** What is asked about, of what a supervisor hands up; a call that the policy does not ask about is no question. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { explainQuestion, type RawDenial } from "../../src/denials/index.ts";
import { readPolicy } from "../../src/index.ts";
import { syscallNumber } from "../../src/syscalls/index.ts";

const { policy } = readPolicy(
  "version = 1\n[syscalls]\ndefault = \"allow\"\nbaseline = \"6.1\"\nrules = '''\nask socket(domain == AF_NETLINK)  # who?\ndeny keyctl\nkill reboot\n'''\n",
  { filename: "p.toml" },
);

function handedUp(call: string, ...args: readonly bigint[]): RawDenial {
  const nr = syscallNumber("x86_64", call);
  assert.ok(nr !== undefined);
  return { abi: "x86_64", nr, args, count: 1, program: "asker", pid: 7 };
}

test("a question has the call, who makes it, the rule, and what would permit it", () => {
  assert.ok(policy !== undefined);
  const args = [16n, 3n, 0n, 0n, 0n, 0n];
  assert.deepEqual(explainQuestion(policy, handedUp("socket", ...args), "x86_64"), {
    ...{ abi: "x86_64", nr: 41, syscall: "socket", by: "rule", program: "asker", pid: 7, args },
    text: "socket(domain = AF_NETLINK, type = SOCK_RAW, protocol = NETLINK_ROUTE)",
    rule: { file: "p.toml", line: 6, text: "ask socket(domain == AF_NETLINK)", reason: "who?" },
    permit: "allow socket(domain == AF_NETLINK && protocol == NETLINK_ROUTE)",
  });
});

test("what the policy allows, refuses or kills for is no question, nor is a number or an ABI that it does not know", () => {
  assert.ok(policy !== undefined);
  const others: readonly RawDenial[] = [
    handedUp("socket", 2n, 1n, 0n),
    handedUp("keyctl", 0n),
    handedUp("reboot"),
    handedUp("getpid"),
    { ...handedUp("getpid"), nr: 99_999 },
    { ...handedUp("socket", 16n), abi: "x86", nr: 359 },
  ];
  for (const one of others) assert.equal(explainQuestion(policy, one, "x86_64"), undefined, `${one.nr}`);
});
