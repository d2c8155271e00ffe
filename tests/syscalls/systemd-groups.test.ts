// Debian packages: systemd
/** Groups against systemd's own, which `systemd-analyze syscall-filter` prints; it works without a running systemd. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { groupDifferences, groupMembers, groups, syscallNames } from "../../src/syscalls/index.ts";

/** systemd's sets: members as they are listed, other sets among them. */
function systemdSets(): ReadonlyMap<string, readonly string[]> | undefined {
  const { stdout, error, status } = spawnSync("systemd-analyze", ["syscall-filter", "--no-pager"], {
    encoding: "utf8",
  });
  if (error !== undefined || status !== 0) return undefined;
  const sets = new Map<string, string[]>();
  let members: string[] = [];
  for (const line of stdout.split("\n")) {
    // At its end stand the calls that are in no set, as a comment.
    if (line.startsWith("#")) members = [];
    const [, set] = /^(@[a-z0-9-]+)$/.exec(line) ?? [];
    if (set !== undefined) {
      members = [];
      sets.set(set, members);
    }
    const [, member] = /^ {4}(@?[a-z0-9_-]+)$/.exec(line) ?? [];
    if (member !== undefined) members.push(member);
  }
  return sets;
}

function flatten(sets: ReadonlyMap<string, readonly string[]>, name: string): ReadonlySet<string> {
  const calls = (sets.get(name) ?? []).flatMap((member) =>
    member.startsWith("@") ? [...flatten(sets, member)] : [member],
  );
  return new Set(calls);
}

/** The groups that are in a group, itself among them. */
function groupsIn(name: string): readonly string[] {
  const found = groups.find((group) => group.name === name);
  const inner = name === "@known" ? [] : (found?.members ?? []).filter((member) => member.startsWith("@"));
  return [name, ...inner.flatMap(groupsIn)];
}

test("every group of systemd's is one of ours, with the same members but for the differences that are explained", (context) => {
  const sets = systemdSets();
  if (sets === undefined) return context.skip("systemd-analyze is not installed");
  assert.ok(sets.size >= 25, `${sets.size} sets`);
  const known = new Set(syscallNames());
  let compared = 0;
  for (const name of sets.keys()) {
    const ours = new Set(groupMembers(name));
    assert.ok(ours.size > 0, `no group ${name}`);
    // Its @known has calls of ABIs that the tables do not have, and lacks those that are newer.
    if (name === "@known") continue;
    const theirs = flatten(sets, name);
    const missing = [...theirs].filter((call) => known.has(call) && !ours.has(call));
    assert.deepEqual(missing, [], `${name} lacks these`);
    const within = groupsIn(name);
    const unexplained = [...ours].filter(
      (call) =>
        !theirs.has(call) && !groupDifferences.some((one) => one.call === call && within.includes(one.group)),
    );
    assert.deepEqual(unexplained, [], `${name} has these, and no reason is given`);
    compared += theirs.size;
  }
  assert.ok(compared > 800, `${compared} members`);
});

test("differences are about members that there are, once each, with a reason", () => {
  const seen = new Set<string>();
  for (const { group, call, why } of groupDifferences) {
    assert.ok(groupMembers(group)?.includes(call), `${group} ${call}`);
    assert.ok(!seen.has(`${group} ${call}`), `${group} ${call} twice`);
    seen.add(`${group} ${call}`);
    assert.ok(why.length > 20);
  }
});
