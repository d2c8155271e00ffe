// What is in reach under a policy: known holes, by the calls that they need.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { auditCves, cves } from "../../src/audit/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { policyOf } from "../policy/reading.ts";

const target = "x86_64";

/** The holes in reach when nothing is refused but by these rules. */
function inReach(rules: string, settings = 'default = "allow"\nbaseline = "7.2"'): ReadonlySet<string> {
  const { reachable } = auditCves(policyOf(rules, settings), { target });
  return new Set(reachable.map(({ cve }) => cve.id));
}

describe("audit", () => {
  test("every hole is in reach or out of it, and only once", () => {
    const { reachable, outOfReach } = auditCves(
      policyOf("deny keyctl", 'default = "allow"\nbaseline = "7.2"'),
      {
        target,
      },
    );
    const ids = [...reachable, ...outOfReach].map(({ cve }) => cve.id).sort();
    assert.deepEqual(ids, cves.map(({ id }) => id).sort());
  });

  test("refusing a hole's call puts it out of reach, and no other rule does", () => {
    const hole = "CVE-2016-0728"; // the keyring's reference count
    assert.ok(inReach("deny mount").has(hole));
    assert.ok(!inReach("deny keyctl").has(hole));
    assert.ok(!inReach("errno(ENOSYS) @keyring").has(hole));
  });

  test("a condition counts for the values that the hole needs", () => {
    const hole = "CVE-2014-3153"; // futex, requeueing to a lock with priority inheritance
    assert.ok(
      !inReach("deny futex(op & FUTEX_CMD_MASK in {FUTEX_CMP_REQUEUE_PI, FUTEX_WAIT_REQUEUE_PI})").has(hole),
    );
    assert.ok(inReach("deny futex(op & FUTEX_CMD_MASK == FUTEX_WAIT)").has(hole));
    // Compared as a whole, the operation with the private flag passes.
    assert.ok(inReach("deny futex(op in {FUTEX_CMP_REQUEUE_PI, FUTEX_WAIT_REQUEUE_PI})").has(hole));
  });

  test("another ABI is another way in", () => {
    const settings = (abis: string) =>
      `default = "allow"\nbaseline = "7.2"\nabis = [${abis}]\nother-abis = "kill"`;
    const rules = "deny x86_64:keyctl";
    assert.ok(!inReach(rules, settings('"x86_64"')).has("CVE-2016-0728"));
    assert.ok(inReach(rules, settings('"x86_64", "x86"')).has("CVE-2016-0728"));
  });

  test("a policy that refuses everything leaves nothing, one that allows everything nearly all", () => {
    assert.deepEqual([...inReach("allow exit_group", 'default = "deny"\nbaseline = "7.2"')], []);
    assert.ok(inReach("allow *").size > cves.length / 2);
  });

  test("a call that is said to pass does pass", () => {
    const policy = policyOf("deny keyctl, bpf", 'default = "allow"\nbaseline = "7.2"');
    let seen = 0;
    for (const { passages } of auditCves(policy, { target }).reachable) {
      for (const { call } of passages) {
        if (call?.how !== "allowed" || call.name === "*") continue;
        const { action } = evaluate(policy, { abi: call.abi, syscall: call.name, args: [] }, { target });
        // Rules here have no conditions, so that any arguments will do.
        assert.equal(action.kind, "allow", call.name);
        seen += 1;
      }
    }
    assert.ok(seen > 100);
  });
});
