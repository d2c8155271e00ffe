// A call as people read it, and the narrowest rule that permits it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { callsWithMatters, kindOf, mattersOf } from "../../src/denials/argument-kinds.ts";
import {
  type ArgumentKind,
  decodeCall,
  describedArguments,
  permittingRule,
  type RawCall,
} from "../../src/denials/index.ts";
import { readPolicy } from "../../src/formats/index.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import {
  type AbiName,
  abis,
  argumentNamed,
  constantsOf,
  constantValue,
  syscallByName,
  syscallNumber,
} from "../../src/syscalls/index.ts";

function raw(abi: AbiName, name: string, ...args: readonly bigint[]): RawCall {
  const nr = syscallNumber(abi, name);
  assert.ok(nr !== undefined, `${abi} has ${name}`);
  return { abi, nr, args };
}

const minusOne = 0xffff_ffff_ffff_ffffn;

const decoded: readonly (readonly [call: RawCall, text: string])[] = [
  // What prctl's other arguments are called has the same numbers.
  ...(
    [
      [1n, "PR_SET_PDEATHSIG"],
      [4n, "PR_SET_DUMPABLE"],
      [8n, "PR_SET_KEEPCAPS"],
      [9n, "PR_GET_FPEMU"],
      [22n, "PR_SET_SECCOMP"],
      [38n, "PR_SET_NO_NEW_PRIVS"],
    ] as const
  ).map(
    ([option, name]) =>
      [
        raw("x86_64", "prctl", option),
        `prctl(option = ${name}, arg2 = 0, arg3 = 0, arg4 = 0, arg5 = 0)`,
      ] as const,
  ),
  [
    raw("x86_64", "socket", 16n, 0x80003n, 0n),
    "socket(domain = AF_NETLINK, type = SOCK_RAW|SOCK_CLOEXEC, protocol = NETLINK_ROUTE)",
  ],
  [
    raw("x86_64", "socket", 2n, 1n, 6n),
    "socket(domain = AF_INET, type = SOCK_STREAM, protocol = IPPROTO_TCP)",
  ],
  [raw("x86_64", "socket", 99n, 1n, 6n), "socket(domain = 99, type = SOCK_STREAM, protocol = 6)"],
  [
    raw("x86_64", "setsockopt", 3n, 1n, 2n, 0x7ffe_0000n, 4n),
    "setsockopt(sockfd = 3, level = SOL_SOCKET, optname = SO_REUSEADDR, optval = 0x7ffe0000, optlen = 4)",
  ],
  [
    raw("x86_64", "setsockopt", 3n, 6n, 31n, 0n, 4n),
    "setsockopt(sockfd = 3, level = IPPROTO_TCP, optname = TCP_ULP, optval = 0, optlen = 4)",
  ],
  [raw("x86_64", "ioctl", 0n, 0x5412n, 0n), "ioctl(fd = 0, request = TIOCSTI, arg = 0)"],
  // The kernel reads 32 bits of a request: a set bit above them changes nothing.
  [raw("x86_64", "ioctl", 0n, 0x1_0000_5412n, 0n), "ioctl(fd = 0, request = TIOCSTI, arg = 0)"],
  [
    raw("x86_64", "mmap", 0n, 4096n, 3n, 0x22n, minusOne, 0n),
    "mmap(addr = 0, length = 0x1000, prot = PROT_READ|PROT_WRITE, flags = MAP_PRIVATE|MAP_ANONYMOUS, fd = 0xffffffff, offset = 0)",
  ],
  [raw("x86_64", "mprotect", 0n, 1n, 0n), "mprotect(addr = 0, len = 1, prot = PROT_NONE)"],
  [raw("x86_64", "unshare", 0x1000_0000n), "unshare(flags = CLONE_NEWUSER)"],
  [raw("x86_64", "kill", minusOne, 9n), "kill(pid = -1, sig = SIGKILL)"],
  [
    raw("x86_64", "prctl", 38n, 1n),
    "prctl(option = PR_SET_NO_NEW_PRIVS, arg2 = 1, arg3 = 0, arg4 = 0, arg5 = 0)",
  ],
  [
    {
      ...raw("x86_64", "openat", BigInt.asUintN(64, -100n), 0x1000n, 0o102n, 0o644n),
      strings: { pathname: 'a\u001b[2J"b' },
    },
    'openat(dirfd = AT_FDCWD, pathname says "a\\x1b[2J\\"b", flags = O_RDWR|O_CREAT, mode = 0o644)',
  ],
  [raw("x86_64", "fchmod", 3n, 0o104755n), "fchmod(fd = 3, mode = 0o104755)"],
  [raw("x86", "mmap", 0x1000n), "mmap(addr = …, length = …, prot = …, flags = …, fd = …, offset = …)"],
  [{ abi: "x86_64", nr: 99_999, args: [1n] }, "#99999()"],
];

describe("a call is decoded", () => {
  for (const [call, text] of decoded) test(text, () => assert.equal(decodeCall(call).text, text));
});

for (const [call, expected] of [
  [raw("x86_64", "setsockopt", 3n, 0n, 1n), /optname = IP_TOS,/],
  [raw("x86_64", "setsockopt", 3n, 0n, 2n), /optname = IP_TTL,/],
  [raw("x86_64", "setsockopt", 3n, 41n, 1n), /optname = IPV6_ADDRFORM,/],
  [raw("x86_64", "setsockopt", 3n, 1n, 0n), /optname = 0,/],
  [raw("x86_64", "sendto", 3n, 0n, 0n, 0x4000n), /flags = MSG_NOSIGNAL,/],
  [raw("x86_64", "recvfrom", 3n, 0n, 0n, 3n), /flags = MSG_OOB\|MSG_PEEK,/],
] as const)
  test(`a number that several constants have: ${expected.source}`, () =>
    assert.match(decodeCall(call).text, expected));

const permitted: readonly (readonly [call: RawCall, rule: string])[] = [
  [
    raw("x86_64", "socket", 16n, 0x80003n, 0n),
    "allow socket(domain == AF_NETLINK && protocol == NETLINK_ROUTE)",
  ],
  [
    raw("x86_64", "socket", 2n, 0x80001n, 0n),
    "allow socket(domain == AF_INET && (type & SOCK_TYPE_MASK) == SOCK_STREAM && protocol == IPPROTO_IP)",
  ],
  [raw("x86_64", "ioctl", 0n, 0x5412n, 0x7fff_0000n), "allow ioctl(request == TIOCSTI)"],
  [raw("x86_64", "keyctl", 0n, 1n), "allow keyctl(operation == KEYCTL_GET_KEYRING_ID)"],
  [raw("x86_64", "unshare", 0x1002_0000n), "allow unshare(flags within CLONE_NEWNS | CLONE_NEWUSER)"],
  [raw("x86_64", "mprotect", 0n, 1n, 7n), "allow mprotect(prot == PROT_READ | PROT_WRITE | PROT_EXEC)"],
  [
    raw("x86_64", "openat", 0n, 1n, 0o102n),
    "allow openat((flags & (O_ACCMODE | O_CREAT)) == O_RDWR | O_CREAT)",
  ],
  [raw("x86_64", "getpid"), "allow getpid"],
  [raw("x86", "ioctl", 0n, 0x5412n, 0n), "allow x86:ioctl(request == TIOCSTI)"],
];

describe("the narrowest rule that permits a call", () => {
  for (const [call, rule] of permitted) test(rule, () => assert.equal(permittingRule(call, "x86_64"), rule));

  test("permits the call, whatever its arguments are, and not another one", () => {
    const interesting = [0n, 3n, 16n, 0x5412n, 0x1002_0011n, minusOne];
    for (const name of [...callsWithMatters(), "getpid", "read"]) {
      for (const abi of ["x86_64", "x86"] as const) {
        const call = syscallByName(abi, name);
        if (call === undefined) continue;
        for (const [index, value] of interesting.entries()) {
          const args = [0, 1, 2, 3, 4, 5].map(
            (at) => interesting[(index + at) % interesting.length] ?? value,
          );
          const rule = permittingRule({ abi, nr: call.nr, args }, "x86_64");
          assert.ok(rule !== undefined);
          const text = `version = 1\n[syscalls]\nabis = [${JSON.stringify(abi)}]\nother-abis = "kill"\nrules = '''\n${rule}\n'''\n`;
          const { policy, diagnostics } = readPolicy(text, {});
          assert.ok(
            policy !== undefined,
            `${abi} ${rule}: ${diagnostics.map((one) => one.message).join("; ")}`,
          );
          const { action } = evaluate(policy, { abi, syscall: call.nr, args }, { target: "x86_64" });
          assert.equal(action.kind, "allow", `${abi} ${name}(${args.join(", ")}): ${rule}`);
        }
      }
    }
    assert.equal(permittingRule({ abi: "x86_64", nr: 99_999, args: [] }, "x86_64"), undefined);
  });
});

describe("the table of arguments", () => {
  const namesOf = (kind: ArgumentKind): readonly string[] => {
    switch (kind.kind) {
      case "one":
        return [kind.names];
      case "flags":
        return [kind.flags, ...(kind.base === undefined ? [] : [kind.base.names])];
      case "by":
        return Object.values(kind.cases).flatMap(namesOf);
      case "octal":
        return [];
    }
  };

  test("names only calls and arguments that there are", () => {
    for (const { call, argument } of describedArguments()) {
      const found = abis.some(
        ({ name }) => argumentNamed(syscallByName(name, call)?.args ?? [], argument)?.name === argument,
      );
      assert.ok(found, `${call}(${argument})`);
    }
    for (const call of callsWithMatters()) {
      assert.ok(mattersOf(call).length <= 3, call);
      for (const { argument, mask } of mattersOf(call)) {
        const found = abis.some(
          ({ name }) => argumentNamed(syscallByName(name, call)?.args ?? [], argument) !== undefined,
        );
        assert.ok(found, `${call}(${argument})`);
        for (const word of mask?.split(" | ") ?? [])
          assert.ok(constantValue("x86_64", word) !== undefined, word);
      }
    }
  });

  test("a request of ioctl is named after what is one: a flag, a length or another constant with its number is not", () => {
    const requests = kindOf("ioctl", "request");
    assert.ok(requests?.kind === "one");
    // The kernel's own: bits 8 to 15 say of what kind of file. None of them is the 0 to 2 of small numbers.
    const kinds = new Set(
      [..."tTfFsvVKLUXp$", ..."\x03\x12\x15\x53\x89\x94\xaa\xae\xb7\xfd\x3b"].map((one) => one.charCodeAt(0)),
    );
    for (const { name: abi } of abis)
      for (const { name, value } of constantsOf(abi, requests.names)) {
        assert.ok(value > 0n && value <= 0xffff_ffffn, `${abi} ${name}`);
        assert.ok(kinds.has(Number((value >> 8n) & 0xffn)), `${abi} ${name} = 0x${value.toString(16)}`);
      }
    for (let small = 0n; small < 0x300n; small++)
      assert.match(decodeCall(raw("x86_64", "ioctl", 3n, small)).text, /request = \d+,/);
    assert.equal(permittingRule(raw("x86_64", "ioctl", 3n, 1n), "x86_64"), "allow ioctl(request == 1)");
  });

  test("gives a number one name: what else has it in the same headers is left out, or means the same", () => {
    const synonyms = new Set(
      [
        "IPPROTO_IP/IPPROTO_HOPOPTS SO_RCVTIMEO/SO_RCVTIMEO_OLD SO_SNDTIMEO/SO_SNDTIMEO_OLD SO_TIMESTAMP/SO_TIMESTAMP_OLD",
        "SO_TIMESTAMPNS/SO_TIMESTAMPNS_OLD SO_TIMESTAMPING/SO_TIMESTAMPING_OLD SO_ATTACH_FILTER/SO_GET_FILTER",
        "SO_DETACH_BPF/SO_DETACH_FILTER SO_TYPE/SO_STYLE IP_RETOPTS/IP_RECVRETOPTS IP_RECVORIGDSTADDR/IP_ORIGDSTADDR",
        "IPV6_JOIN_GROUP/IPV6_ADD_MEMBERSHIP IPV6_LEAVE_GROUP/IPV6_DROP_MEMBERSHIP IPV6_RECVORIGDSTADDR/IPV6_ORIGDSTADDR",
        "CDROM_GET_MCN/CDROM_GET_UPC FS_IOC_SETFSLABEL/BTRFS_IOC_SET_FSLABEL FS_IOC_GETFSLABEL/BTRFS_IOC_GET_FSLABEL",
        "FS_IOC_SHUTDOWN/BTRFS_IOC_SHUTDOWN USBDEVFS_REAPURB/USBDEVFS_REAPURB32 USBDEVFS_REAPURBNDELAY/USBDEVFS_REAPURBNDELAY32",
        "O_EXCL/O_NOTIFICATION_PIPE O_SYNC/O_FSYNC O_SYNC/O_RSYNC MAP_ANONYMOUS/MAP_RENAME SIGCHLD/SIGCLD SIGSYS/SIGUNUSED",
        "MS_SILENT/MS_VERBOSE",
      ].flatMap((line) => line.split(" ")),
    );
    for (const names of new Set(describedArguments().flatMap(({ kind }) => namesOf(kind))))
      for (const { name: abi } of abis) {
        const known = new Map<bigint, string>();
        for (const { name, value } of constantsOf(abi, names)) {
          const first = known.get(value) ?? name;
          assert.ok(first === name || synonyms.has(`${first}/${name}`), `${abi} ${first}/${name}`);
          known.set(value, first);
        }
      }
  });

  test("names only constants that there are", () => {
    const words = new Set(
      describedArguments()
        .flatMap(({ kind }) => namesOf(kind))
        .flatMap((names) => names.split(" ")),
    );
    const unknown = [...words].filter(
      (word) => !word.startsWith("-") && abis.every(({ name }) => constantsOf(name, word).length === 0),
    );
    assert.deepEqual(unknown, []);
  });
});
