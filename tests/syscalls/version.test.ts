import assert from "node:assert/strict";
import { test } from "node:test";
import { compareVersions, formatVersion, newestVersion, parseVersion } from "../../src/syscalls/index.ts";

test("versions as people and uname write them", () => {
  const read = (text: string) => {
    const version = parseVersion(text);
    return version && [version.major, version.minor, version.patch];
  };
  assert.deepEqual(read("6.1"), [6, 1, 0]);
  assert.deepEqual(read("2.6.28"), [2, 6, 28]);
  assert.deepEqual(read("6.18.44-foo"), [6, 18, 44]);
  assert.deepEqual(read("6.1.0-18-amd64"), [6, 1, 0]);
  assert.deepEqual(read("5.15.167.4-microsoft-standard-WSL2"), [5, 15, 167]);
  assert.deepEqual(read("7.2-rc1"), [7, 2, 0]);
  assert.deepEqual(read("6.12.9+deb13-amd64"), [6, 12, 9]);
  for (const text of [
    "",
    "6",
    "v6.1",
    "6.",
    "6.x",
    ".1",
    "6.1abc",
    " 6.1",
    "6.1 ",
    "-1.2",
    "6.1.",
    "6,1",
    "99999.1",
  ]) {
    assert.equal(parseVersion(text), undefined, JSON.stringify(text));
  }
});

test("versions compare by their numbers, and print as they are read", () => {
  const inOrder = [
    "1.0",
    "2.0",
    "2.6",
    "2.6.9",
    "2.6.28",
    "3.0",
    "5.9",
    "5.15",
    "6.1",
    "6.1.1",
    "6.10",
    "7.2",
  ];
  const versions = inOrder.map((text) => parseVersion(text) ?? newestVersion);
  assert.deepEqual(versions.map(formatVersion), inOrder);
  for (const [i, a] of versions.entries()) {
    for (const [j, b] of versions.entries()) assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j));
  }
});
