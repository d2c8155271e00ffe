import assert from "node:assert/strict";
import { endianness } from "node:os";
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
      // arm's private calls begin at 0x0f_0000.
      const first = abi === "arm" && call.nr > 0x0f_0000 ? 0x0f_0000 : numberBase;
      assert.ok(call.nr >= first && call.nr - first < 1000, call.name);
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
      // n32 has registers of 64 bits, and passes preadv's offset in two of them all the same.
      assert.ok(bitsOf(abi) === 32 || /n32$/.test(abi), call);
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
  const intel: readonly AbiName[] = ["x86_64", "x86", "x32"];
  assert.deepEqual([...new Set(intel.flatMap(unknown))].sort(), never.split(" "));
  assert.deepEqual(unknown("aarch64"), []);
  assert.deepEqual(unknown("riscv64"), []);
  // Numbers that an ABI keeps for calls that only its 32-bit companion has, or that others have.
  assert.deepEqual(unknown("arm"), ["pciconfig_iobase", "vserver"]);
  assert.deepEqual(unknown("loongarch64"), ["map_shadow_stack"]);
  const s390x = "readdir idle afs_syscall getpmsg putpmsg timerfd map_shadow_stack";
  assert.deepEqual(unknown("s390x"), s390x.split(" "));
  const mips64 = "getpmsg putpmsg afs_syscall reserved177 reserved193 vserver timerfd map_shadow_stack";
  assert.deepEqual(unknown("mips64"), mips64.split(" "));
  assert.deepEqual(unknown("mips64n32"), mips64.split(" "));
  const mips =
    "syscall break unused18 unused28 stty gtty ftime prof signal lock mpx ulimit reserved82 unused84 profil ioperm iopl idle vm86 modify_ldt afs_syscall unused150 getpmsg putpmsg reserved221 vserver timerfd map_shadow_stack";
  assert.deepEqual(unknown("mips"), mips.split(" "));
  const ppc64le =
    "break oldstat umount oldfstat stty gtty ftime prof lock mpx ulimit oldolduname sigaction sigsuspend sigpending getrlimit select oldlstat readdir profil ioperm olduname iopl idle vm86 modify_ldt sigprocmask afs_syscall getpmsg putpmsg multiplexer tuxcall sys_debug_setcontext map_shadow_stack";
  assert.deepEqual(unknown("ppc64le"), ppc64le.split(" "));
});

test("calls without a first release are those that were never implemented", () => {
  const names = abis.flatMap(({ name }) => syscallsOf(name).filter((call) => call.since === undefined));
  assert.deepEqual(
    [...new Set(names.map((call) => call.name))].sort(),
    "afs_syscall break cachectl epoll_ctl_old epoll_wait_old ftime getpmsg gtty lock mpx multiplexer prof profil putpmsg reserved177 reserved193 reserved221 reserved82 security stty timerfd tuxcall ulimit unused109 unused150 unused18 unused28 unused59 unused84 vserver".split(
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
    // ppc64 and s390x have numbers of their 32-bit companions too, and n32 times of 32 and of 64 bits.
    if (bits === 32 || /^(ppc64le|s390x|.*n32)$/.test(abi)) continue;
    for (const call of syscallsOf(abi)) {
      const here: readonly string[] = twinsOf(call.name).filter(
        (twin) => syscallByName(abi, twin) !== undefined,
      );
      assert.deepEqual(here, [call.name]);
    }
  }
});

test("a call has arguments of the same names on every ABI", () => {
  // ppc64le's _llseek adds two whole words up; mips' pipe gives its descriptors in registers; s390's ipc has five
  // words; sigsuspend has words that are not used on some; and two calls have the name cacheflush.
  const different = ["_llseek", "cacheflush", "ipc", "pipe", "sigsuspend"];
  for (const name of syscallNames().filter((one) => !different.includes(one))) {
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
    ["x86", "ppc64le", "s390x", "mips", "mipsel"],
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
  const expected = {
    x64: "x86_64",
    ia32: "x86",
    arm64: "aarch64",
    arm: "arm",
    riscv64: "riscv64",
    s390x: "s390x",
    loong64: "loongarch64",
    ppc64: endianness() === "LE" ? "ppc64le" : undefined,
    mips: "mips",
    mipsel: "mipsel",
  };
  assert.equal(hostAbi(), new Map(Object.entries(expected)).get(process.arch));
});
