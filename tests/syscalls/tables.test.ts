import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AbiName,
  type Argument,
  abiByName,
  abis,
  argumentNamed,
  compareVersions,
  hostAbi,
  multiplexedOf,
  newestVersion,
  syscallByName,
  syscallByNumber,
  syscallNames,
  syscallNumber,
  syscallsOf,
  twinsOf,
} from "../../src/syscalls/index.ts";

const bitsOf = (abi: AbiName) => abiByName(abi)?.bits ?? 0;

for (const { name: abi, numberBase } of abis) {
  test(`${abi}: numbers ascend, names are unique, and each finds the other`, () => {
    let previous = -1;
    const names = new Set<string>();
    for (const call of syscallsOf(abi)) {
      assert.ok(call.nr > previous, call.name);
      assert.ok(call.nr >= numberBase && call.nr - numberBase < 1000, call.name);
      assert.match(call.name, /^[a-z_][a-z0-9_]*$/);
      assert.ok(!names.has(call.name), call.name);
      assert.equal(call.abi, abi);
      assert.equal(syscallByNumber(abi, call.nr), call);
      assert.equal(syscallByName(abi, call.name), call);
      assert.equal(syscallNumber(abi, call.name), call.nr);
      names.add(call.name);
      previous = call.nr;
    }
  });

  test(`${abi}: every argument has a place of its own that is as wide as it says`, () => {
    for (const call of syscallsOf(abi)) checkArguments(abi, call.name, call.args ?? []);
    for (const call of multiplexedOf(abi))
      checkArguments(abi, `${call.multiplexer}(${call.name})`, call.args);
  });

  test(`${abi}: every call above 424 has a first release that the tables know`, () => {
    for (const call of syscallsOf(abi)) {
      if (call.nr - numberBase > 424 && call.nr - numberBase < 512)
        assert.ok(call.since !== undefined, call.name);
      if (call.since !== undefined) assert.ok(compareVersions(call.since, newestVersion) <= 0, call.name);
    }
  });
}

function checkArguments(abi: AbiName, call: string, args: readonly Argument[]): void {
  const words = new Set<number>();
  const names = new Set<string>();
  const take = (index: number) => {
    assert.ok(Number.isInteger(index) && index >= 0 && index <= 5, `${call}: word ${index}`);
    assert.ok(!words.has(index), `${call}: word ${index} twice`);
    words.add(index);
  };
  for (const arg of args) {
    for (const name of [arg.name, ...arg.aliases]) {
      assert.match(name, /^[A-Za-z_][A-Za-z0-9_]*$/, call);
      assert.ok(!names.has(name), `${call}: ${name} twice`);
      names.add(name);
      assert.equal(argumentNamed(args, name), arg, `${call}: ${name}`);
    }
    assert.ok([16, 32, 64].includes(arg.width), `${call}: ${arg.name}`);
    if (arg.place.kind === "word") {
      take(arg.place.index);
      assert.ok(arg.width <= bitsOf(abi), `${call}: ${arg.name} is wider than its word`);
    }
    if (arg.place.kind === "words") {
      assert.equal(arg.width, 64, call);
      assert.equal(bitsOf(abi), 32, call);
      assert.equal(Math.abs(arg.place.low - arg.place.high), 1, call);
      take(arg.place.low);
      take(arg.place.high);
    }
    if (arg.kind === "pointer") assert.equal(arg.signed, false, call);
  }
}

test("calls without known arguments are those that no kernel serves", () => {
  const unknown = (abi: AbiName) =>
    syscallsOf(abi)
      .filter((call) => call.args === undefined)
      .map((call) => call.name);
  const never =
    "afs_syscall break epoll_ctl_old epoll_wait_old ftime get_thread_area getpmsg gtty idle lock mpx prof profil putpmsg security set_thread_area stty tuxcall ulimit vserver";
  assert.deepEqual([...new Set(abis.flatMap(({ name }) => unknown(name)))].sort(), never.split(" "));
  assert.deepEqual(unknown("aarch64"), []);
});

test("calls without a first release are those that were never implemented", () => {
  const names = abis.flatMap(({ name }) => syscallsOf(name).filter((call) => call.since === undefined));
  assert.deepEqual(
    [...new Set(names.map((call) => call.name))].sort(),
    "afs_syscall break epoll_ctl_old epoll_wait_old ftime getpmsg gtty lock mpx prof profil putpmsg security stty tuxcall ulimit vserver".split(
      " ",
    ),
  );
});

test("twins exist, agree with each other, and take arguments of the same names", () => {
  const known = new Set(syscallNames());
  // What one of the twins has and the other cannot have: the size of a signal set or of a buffer, the address
  // of a result, an offset counted in pages, words that are not used.
  const own = ["sigsetsize", "size", "result", "offset", "pgoffset", "unused1", "unused2"];
  const namesOf = (call: string) => {
    const args = abis.map(({ name }) => syscallByName(name, call)?.args).find((found) => found !== undefined);
    const behind = multiplexedOf("x86").find(({ name }) => name === call)?.args;
    return (args ?? behind ?? [])
      .map((arg) => arg.name)
      .filter((name) => !own.includes(name))
      .sort();
  };
  for (const name of syscallNames()) {
    const twins = twinsOf(name);
    assert.equal(twins[0], name);
    for (const twin of twins) {
      assert.ok(known.has(twin), `${twin}, twin of ${name}`);
      assert.deepEqual([...twinsOf(twin)].sort(), [...twins].sort());
      assert.deepEqual(namesOf(twin), namesOf(name), `${name} and ${twin}`);
    }
  }
});

test("no 64-bit ABI has two calls that are twins of each other", () => {
  for (const { name: abi, bits } of abis) {
    if (bits === 32) continue;
    for (const call of syscallsOf(abi)) {
      const here = twinsOf(call.name).filter((twin) => syscallByName(abi, twin) !== undefined);
      assert.deepEqual(here, [call.name]);
    }
  }
});

test("a call has arguments of the same names on every ABI", () => {
  for (const name of syscallNames()) {
    const names = abis
      .map(({ name: abi }) => syscallByName(abi, name)?.args?.map((arg) => arg.name))
      .filter((found) => found !== undefined)
      .map((found) => [...found].sort().join(" "));
    assert.ok(new Set(names).size <= 1, `${name}: ${names.join(" | ")}`);
  }
});

test("what is behind a multiplexer has a known name and a code of its own", () => {
  const known = new Set(syscallNames());
  for (const { name: abi } of abis) {
    const codes = new Set<string>();
    for (const call of multiplexedOf(abi)) {
      assert.ok(known.has(call.name), call.name);
      const multiplexer = syscallByName(abi, call.multiplexer);
      assert.ok(multiplexer !== undefined, call.multiplexer);
      assert.ok(!codes.has(`${call.multiplexer} ${call.code}`));
      codes.add(`${call.multiplexer} ${call.code}`);
      assert.equal((call.code & call.selector.mask) >>> 0, call.code);
      const direct = syscallByName(abi, call.name)?.args;
      if (direct !== undefined) {
        assert.deepEqual(
          call.args.map((arg) => arg.name),
          direct.map((arg) => arg.name),
          call.name,
        );
      }
    }
  }
  assert.deepEqual(
    abis.filter(({ name }) => multiplexedOf(name).length > 0).map(({ name }) => name),
    ["x86"],
  );
});

test("an ABI or a call that does not exist is undefined", () => {
  assert.equal(abiByName("vax"), undefined);
  assert.equal(abiByName("constructor"), undefined);
  assert.equal(syscallNumber("vax", "read"), undefined);
  assert.equal(syscallByName("x86_64", "constructor"), undefined);
  assert.equal(syscallByName("x86_64", ""), undefined);
  assert.equal(syscallByNumber("x86_64", -1), undefined);
  assert.equal(syscallByNumber("x86_64", 0x4000_0000), undefined);
  assert.deepEqual(twinsOf("constructor"), ["constructor"]);
});

test("the ABI of this Node is one of the table, on the machines that have one", () => {
  const expected = { x64: "x86_64", ia32: "x86", arm64: "aarch64" };
  assert.equal(hostAbi(), new Map(Object.entries(expected)).get(process.arch));
});
