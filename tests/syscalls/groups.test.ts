import assert from "node:assert/strict";
import { test } from "node:test";
import { groupMembers, groups, syscallNames, twinsOf } from "../../src/syscalls/index.ts";

test("group names are known, unique and in order; members exist and stand once", () => {
  const known = new Set(syscallNames());
  const names = groups.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)].sort());
  for (const group of groups) {
    assert.match(group.name, /^@[a-z][a-z-]*$/);
    assert.ok(group.description.length > 0 && !group.description.endsWith("."), group.name);
    assert.equal(new Set(group.members).size, group.members.length, `${group.name} has a member twice`);
    for (const member of group.members) {
      if (member.startsWith("@")) assert.ok(names.includes(member), `${group.name}: ${member}`);
      else assert.ok(known.has(member), `${group.name}: ${member}`);
    }
  }
});

test("members are flat and sorted", () => {
  for (const { name } of groups) {
    const members = groupMembers(name) ?? [];
    assert.deepEqual(members, [...new Set(members)].sort(), name);
    assert.ok(
      members.every((member) => !member.startsWith("@")),
      name,
    );
  }
  assert.deepEqual(groupMembers("@keyring"), ["add_key", "keyctl", "request_key"]);
  assert.deepEqual(groupMembers("@known"), syscallNames());
  assert.ok(groupMembers("@privileged")?.includes("init_module"));
  assert.equal(groupMembers("@nothing"), undefined);
  assert.equal(groupMembers("keyring"), undefined);
});

test("a group that has a call has its twins", () => {
  for (const { name } of groups) {
    const members = new Set(groupMembers(name));
    for (const member of members) {
      for (const twin of twinsOf(member))
        assert.ok(members.has(twin), `${name} has ${member} and not ${twin}`);
    }
  }
});

test("what only system software needs is not in @system-service", () => {
  const members = new Set(groupMembers("@system-service"));
  for (const group of [
    "@module",
    "@mount",
    "@raw-io",
    "@reboot",
    "@swap",
    "@clock",
    "@debug",
    "@cpu-emulation",
  ]) {
    for (const call of groupMembers(group) ?? []) assert.ok(!members.has(call), `${group}: ${call}`);
  }
  assert.ok(!members.has("bpf"));
});
