// "Always" puts a rule into the policy's text: everything that was in it stays, byte for byte.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addRuleBefore } from "../../src/cli/ask/add-rule.ts";
import { readPolicy } from "../../src/formats/index.ts";

const rule = "allow socket(domain == AF_NETLINK && protocol == NETLINK_ROUTE)  # always";

/** The text without what was added; fails where anything else has changed. */
function added(text: string, asking = text.indexOf("ask socket")): string {
  const result = addRuleBefore(
    { name: "own.toml", text },
    rule,
    asking === -1 ? undefined : { start: asking },
  );
  assert.ok("text" in result, JSON.stringify(result));
  const { text: now } = result;
  let same = 0;
  while (same < text.length && now[same] === text[same]) same += 1;
  const rest = text.length - same;
  assert.equal(now.slice(now.length - rest), text.slice(same));
  assert.equal(now.includes(rule), true);
  const { policy, diagnostics } = readPolicy(now);
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === "error"),
    [],
  );
  const kinds = policy?.syscalls.rules.map(({ action }) => action.kind) ?? [];
  const asks = kinds.indexOf("ask");
  assert.ok(asks === -1 || kinds.indexOf("allow") < asks, kinds.join());
  return now.slice(same, now.length - rest);
}

const head = 'version = 1\n[syscalls]\ndefault = "deny"  # mine\n';

describe("a rule is added before the one that asks", () => {
  test("in a block, as a line with its indent", () => {
    const text = `${head}rules = '''\n  # why\n  ask  socket(domain == AF_NETLINK),\n       unshare   # both\n'''\n# end\n`;
    const result = addRuleBefore({ name: "x", text: text.replace("ask  ", "ask ") }, rule, {
      start: text.indexOf("ask  "),
    });
    assert.ok("text" in result && result.text.includes(`  # why\n  ${rule}\n  ask socket`));
    added(text.replace("ask  ", "ask "));
  });

  test("in a block of one line, and one with double quotes", () => {
    added(`${head}rules = '''ask socket(domain == AF_NETLINK)'''\n`);
    added(`${head}rules = """\nask socket(domain == AF_NETLINK)\n"""\n`);
  });

  test("in a list, also on one line", () => {
    added(`${head}rules = [\n  "deny keyctl", # no keys\n  "ask socket(domain == AF_NETLINK)",\n]\n`);
    added(`${head}rules = ["deny keyctl", "ask socket(domain == AF_NETLINK)"]\n`);
  });

  test("before all others, where the asking rule is in another file", () => {
    assert.equal(added(`${head}rules = '''\nallow read\n'''\n`, -1).length, rule.length + 1);
  });

  test("as the first of a file that has none", () => {
    const lines = `rules = '''\n${rule}\n'''\n`;
    assert.equal(added(head, -1), lines);
    assert.equal(added(`${head}rules = []  # none yet\n`, -1), `"${rule}"`);
    assert.equal(
      added('version = 1\nextends = ["default"]\n[files]\nread = ["/srv"]\n', -1),
      `\n[syscalls]\n${lines}`,
    );
    assert.equal(added('version = 1\n[files]\nread = ["/srv"]  # mine', -1), `\n\n[syscalls]\n${lines}`);
    assert.equal(added(`version = 1\n  [syscalls] # here\ndefault = "deny"\n`, -1), lines);
  });

  test("with the line ends of the file", () => {
    const text = `${head}rules = '''\nask socket(domain == AF_NETLINK)\n'''\n`.replaceAll("\n", "\r\n");
    const result = addRuleBefore({ name: "x", text }, rule, { start: text.indexOf("ask") });
    assert.ok("text" in result);
    assert.equal(result.text.replaceAll("\r\n", "").includes("\n"), false);
  });

  test("nowhere, where there is no place for it", () => {
    for (const text of [`${head}rules = "ask socket"\n`, 'version = 1\nsyscalls = { default = "deny" }\n'])
      assert.ok("problem" in addRuleBefore({ name: "x", text }, rule, undefined), text);
  });
});
