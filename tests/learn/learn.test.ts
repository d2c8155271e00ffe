// From what was watched to a policy, without watching anything.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { isSecret } from "../../src/learn/files.ts";
import {
  addGrants,
  addRules,
  describeAddress,
  type FileFacts,
  fileUse,
  fold,
  type GrantPlace,
  historyOf,
  learnedGrants,
  learnedRules,
  newPolicyText,
  type Observation,
  readRecords,
  type SeenCall,
  unwatched,
  withHistory,
  withLimits,
} from "../../src/learn/index.ts";
import type { Policy } from "../../src/policy/types.ts";
import { type AbiName, syscallNumber } from "../../src/syscalls/index.ts";

let sequence = 1;

function seen(abi: AbiName, name: string, ...args: readonly bigint[]): SeenCall {
  const nr = syscallNumber(abi, name);
  assert.ok(nr !== undefined, name);
  sequence += 1;
  const all = [0, 1, 2, 3, 4, 5].map((index) => args[index] ?? 0n);
  return { abi, nr, args: all, program: "app", pid: 1, first: sequence, last: sequence, count: 1 };
}

function observed(
  calls: readonly SeenCall[],
  paths: readonly (readonly [SeenCall, string])[] = [],
): Observation {
  return {
    calls,
    texts: paths.map(([call, path]) => ({ call, kind: "path", bytes: new TextEncoder().encode(path) })),
    handedUp: calls.length,
    status: 0,
    execError: 0,
    lost: { calls: 0, texts: 0 },
    use: undefined,
    complete: true,
  };
}

/** All files are there, and were before, but for these. */
function factsWithout(...missing: readonly string[]): FileFacts {
  const isThere = (path: string): boolean => !missing.includes(path);
  return { exists: isThere, wasThere: isThere };
}

const empty = newPolicyText("app", ["app"], "x86_64");

function read(text: string): Policy {
  const { policy, diagnostics } = readPolicy(text, { target: "x86_64" });
  assert.ok(policy !== undefined, JSON.stringify(diagnostics));
  return policy;
}

function rulesFor(...calls: readonly SeenCall[]): readonly string[] {
  return learnedRules(observed(calls), read(empty), "x86_64").rules.map(({ text }) => text);
}

describe("rules for what was seen", () => {
  test("what is permitted already needs none", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "read"), seen("x86_64", "mmap", 0n, 1n, 3n)), []);
  });

  test("values of one argument are one list", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "ioctl", 0n, 0x5401n), seen("x86_64", "ioctl", 0n, 0x5413n)), [
      "allow ioctl(request in {TCGETS, TIOCGWINSZ})",
    ]);
  });

  test("values of several arguments stay together", () => {
    const rules = rulesFor(
      seen("x86_64", "setsockopt", 3n, 1n, 2n),
      seen("x86_64", "setsockopt", 3n, 1n, 9n),
      seen("x86_64", "setsockopt", 3n, 6n, 1n),
    );
    assert.deepEqual(rules, [
      "allow setsockopt(level == SOL_SOCKET && optname in {SO_REUSEADDR, SO_KEEPALIVE} || level == IPPROTO_TCP && optname == TCP_NODELAY)",
    ]);
  });

  test("flags are a mask of what was ever set", () => {
    assert.deepEqual(
      rulesFor(
        seen("x86_64", "clone", 0x04000011n),
        seen("x86_64", "clone", 0x10900n),
        seen("x86_64", "clone", 0x20000n),
      ),
      ["allow clone(flags within SIGCHLD | CLONE_NEWNS | CLONE_NEWUTS)"],
    );
  });

  test("the same work by another call is derived, with the same condition", () => {
    assert.deepEqual(rulesFor(seen("x86_64", "openat", 0n, 1n, 0o1101n)), [
      "allow openat((flags & (O_ACCMODE | O_CREAT)) == O_WRONLY | O_CREAT)",
      "allow open((flags & (O_ACCMODE | O_CREAT)) == O_WRONLY | O_CREAT)",
    ]);
  });

  test("what was seen of a relative, or is permitted, is not derived", () => {
    const folder = 0o200000n;
    assert.deepEqual(
      rulesFor(
        seen("x86_64", "openat", 0n, 1n, 0n),
        seen("x86_64", "openat", 0n, 1n, 0o1101n),
        seen("x86_64", "open", 1n, 0n),
      ),
      [
        "allow open((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY)",
        "allow openat((flags & (O_ACCMODE | O_CREAT)) in {O_RDONLY, O_WRONLY | O_CREAT})",
        "allow open((flags & (O_ACCMODE | O_CREAT)) == O_WRONLY | O_CREAT)",
      ],
    );
    // That a folder was the first to be opened so says nothing of the files that were opened after it.
    assert.deepEqual(rulesFor(seen("x86_64", "open", 1n, folder)), [
      "allow open((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY)",
      "allow openat((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY)",
    ]);
  });

  test("a 32-bit program gets its ABI; what is behind socketcall has no condition", () => {
    const { rules, abis } = learnedRules(
      observed([seen("x86", "socketcall", 1n, 0x1000n)]),
      read(empty),
      "x86_64",
    );
    assert.deepEqual([rules.map(({ text }) => text), abis], [["allow x86:socket"], ["x86"]]);
  });

  test("a number that no table knows is told, not permitted", () => {
    const call: SeenCall = { ...seen("x86_64", "getpid"), nr: 99_999 };
    const { rules, unknown } = learnedRules(observed([call]), read(empty), "x86_64");
    assert.deepEqual([rules, unknown], [[], [{ abi: "x86_64", nr: 99_999 }]]);
  });

  test("where start-up ends", () => {
    const calls = [seen("x86_64", "bind"), seen("x86_64", "listen"), seen("x86_64", "accept4")];
    const { rules } = learnedRules(observed(calls), read(empty), "x86_64");
    const comment = (call: string): string | undefined => rules.find((rule) => rule.call === call)?.comment;
    assert.equal(comment("bind"), "app ×1, in start-up only");
    assert.equal(comment("accept4"), "app ×1, later");
    assert.equal(comment("accept"), "derived from accept4");
  });

  test("a program's name cannot end the block of rules", () => {
    const evil = { ...seen("x86_64", "bind"), program: "'''\n#\u001b[m" };
    const learned = learnedRules(observed([evil]), read(empty), "x86_64");
    const text = addRules({ name: "x", text: empty }, learned);
    assert.ok(typeof text === "string");
    assert.equal(read(text).syscalls.rules.length, read(empty).syscalls.rules.length + learned.rules.length);
  });
});

describe("the policy's text", () => {
  test("a new policy has no mistakes on any machine", () => {
    for (const target of ["x86_64", "aarch64"] as const) {
      const { diagnostics } = readPolicy(newPolicyText("app", ["app"], target), { target });
      assert.deepEqual(
        diagnostics.filter(({ severity }) => severity === "error"),
        [],
      );
    }
    assert.ok(unwatched.length > 5);
  });

  test("rules are added at the end of the block, ABIs to the list", () => {
    const learned = learnedRules(
      observed([seen("x86", "write"), seen("x86_64", "bind")]),
      read(empty),
      "x86_64",
    );
    const text = addRules({ name: "x", text: empty }, learned);
    assert.ok(typeof text === "string");
    const policy = read(text);
    assert.deepEqual(policy.syscalls.abis, ["native", "x86"]);
    assert.equal(policy.syscalls.rules.length, read(empty).syscalls.rules.length + 2);
  });

  test("a policy without a block of rules is not touched", () => {
    const learned = learnedRules(observed([seen("x86_64", "bind")]), read(empty), "x86_64");
    for (const rules of ["", 'rules = ["allow read"]\n']) {
      const found = addRules({ name: "x", text: `version = 1\n[syscalls]\n${rules}` }, learned);
      assert.ok(typeof found !== "string" && found.problem.includes("rules = '''"));
    }
  });

  test("history", () => {
    assert.deepEqual(historyOf("version = 1\n"), { runs: 0, idle: 0 });
    assert.deepEqual(historyOf(withHistory(empty, { runs: 7, idle: 3 })), { runs: 7, idle: 3 });
  });
});

describe("files and addresses", () => {
  test("many files of a folder are the folder, system folders are whole", () => {
    const many = [...Array(9).keys()].map((index) => `/srv/data/images/${index}.png`);
    assert.deepEqual(fold([...many, "/srv/data/list", "/usr/lib/x/libc.so", "/lib/ld.so", "/etc/passwd"]), [
      "/etc/passwd",
      "/lib",
      "/srv/data/images",
      "/srv/data/list",
      "/usr",
    ]);
  });

  test("what is read, written, secret and volatile", () => {
    const reads = seen("x86_64", "openat", 0n, 0n, 0n);
    const writes = seen("x86_64", "openat", 0n, 0n, 0o101n);
    const use = fileUse(
      observed(
        [],
        [
          [reads, "/etc/./x/../hosts"],
          [reads, "/not/there"],
          [reads, "/home/a/.ssh/id_ed25519"],
          [reads, "/tmp/x1"],
          [writes, "/srv/out/new.txt"],
          [seen("x86_64", "unlink"), "/srv/out/old.txt"],
          [seen("x86_64", "execve"), "/usr/bin/true"],
        ],
      ),
      { ...factsWithout("/not/there", "/srv/out/new.txt"), wasThere: (path) => !/new|x1/.test(path) },
    );
    assert.deepEqual(use, {
      read: ["/etc/hosts"],
      write: ["/srv/out"],
      secrets: ["/home/a/.ssh/id_ed25519"],
      volatile: ["/tmp/x1"],
      programs: ["/usr/bin/true"],
    });
  });

  const place: GrantPlace = {
    ...factsWithout(),
    home: "/home/a",
    cwd: "/srv/app",
    isSystem: (path) => path.startsWith("/usr"),
    granted: { read: [], write: [] },
    network: "off",
  };
  const opens = (path: string): readonly [SeenCall, string] => [seen("x86_64", "openat", 0n, 0n, 0n), path];
  const makes = (path: string): readonly [SeenCall, string] => [
    seen("x86_64", "openat", 0n, 0n, 0o101n),
    path,
  ];

  test("files are granted narrowly, and what is delicate is left out with its reason", () => {
    const run = observed(
      [],
      [
        opens("/usr/lib/x.so"),
        opens("/proc/self/maps"),
        opens("/srv/app/lib/a.js"),
        opens("/home/a/notes/b.txt"),
        opens("/home/a"),
        opens("/home/a/.ssh/id_ed25519"),
        opens("/tmp/data"),
        opens("/tmp/new"),
        opens("/sys/devices/system/cpu/online"),
        makes("/srv/out/new.txt"),
        makes("/usr/share/x"),
        makes("/tmp/made"),
        makes("/run/user/1000/made"),
        makes("/run/callgate/plan"),
        opens("/run/user/1000/callgate/key"),
        opens("/srv/out/old.txt"),
        opens("/srv/line\nfeed"),
      ],
    );
    const missing = [
      "/srv/out/new.txt",
      "/usr/share/x",
      "/tmp/new",
      "/tmp/made",
      "/run/user/1000/made",
      "/run/callgate/plan",
    ];
    const grants = learnedGrants(run, {
      ...place,
      wasThere: (path) => !missing.includes(path),
    });
    assert.deepEqual(grants.read, ["~/notes/b.txt", "/srv/app", "/tmp/data"]);
    assert.deepEqual(grants.write, ["/srv/out"]);
    assert.equal(grants.network, undefined);
    assert.deepEqual(
      grants.left.map(({ path }) => path),
      [
        "/home/a",
        "/home/a/.ssh/id_ed25519",
        "/run/callgate",
        "/run/user/1000",
        "/run/user/1000/callgate/key",
        "/srv/line\nfeed",
        "/sys/devices/system/cpu/online",
        "/tmp",
        "/tmp/new",
        "/usr/share",
      ],
    );
  });

  test("no folder is granted for the files in it where a key that was used is one of them", () => {
    const many = Array.from({ length: 9 }, (_, index) => opens(`/srv/many/${index}`));
    const run = observed(
      [],
      [...many, opens("/srv/many/id_rsa"), opens("/srv/app/a"), opens("/srv/app/server.key")],
    );
    const { read, left, exposed } = learnedGrants(run, place);
    assert.deepEqual(read, ["/srv/app/a", ...many.map(([, path]) => path)]);
    assert.deepEqual(
      [left.map(({ path }) => path), exposed],
      [["/srv/app/server.key", "/srv/many/id_rsa"], []],
    );
  });

  test("a key in a folder that the program itself needs is told, and not said to be left out", () => {
    const run = observed(
      [],
      [makes("/tmp/out/new.txt"), opens("/tmp/out/server.key"), makes("/tmp/out/new/x"), makes("/tmp/new/x")],
    );
    const { write, left, exposed } = learnedGrants(run, {
      ...place,
      wasThere: (path) => !path.includes("new"),
    });
    assert.deepEqual(
      [write, left.map(({ path }) => path), exposed],
      [["/tmp/out"], ["/tmp/new"], ["/tmp/out/server.key"]],
    );
  });

  test("what everybody trusts is no secret; a key beside it is one", () => {
    const delicate = [
      "/etc/ssl/certs/a.key",
      "/etc/ssl/private/a.pem",
      "/srv/cert.pem",
      "/srv/certs/server.pem",
    ];
    for (const path of ["/etc/ssl/certs/a.pem", "/srv/certifi/cacert.pem"])
      assert.equal(isSecret(path), false, path);
    for (const path of delicate) assert.equal(isSecret(path), true, path);
  });

  test("what a policy grants already is not granted again", () => {
    const run = observed(
      [],
      [opens("/srv/app/a"), opens("/srv/b/c"), makes("/srv/out/x"), makes("/srv/b/y")],
    );
    const granted = { read: ["/srv/app", "/srv/b"], write: ["/srv/out"] };
    const { read, write } = learnedGrants(run, { ...place, granted, wasThere: () => false });
    assert.deepEqual([read, write], [[], ["/srv/b"]]);
  });

  test("a socket that is a file is granted to be read, ports by number, and the network where ports are not enough", () => {
    const at = (family: number, ...rest: readonly number[]): Uint8Array =>
      Uint8Array.from([family, 0, ...rest, ...Array<number>(24).fill(0)]);
    const run = (sockets: readonly SeenCall[], ...addresses: readonly Uint8Array[]): Observation => ({
      ...observed(sockets),
      texts: addresses.map((bytes) => ({ call: seen("x86_64", "connect"), kind: "address", bytes })),
    });
    const tcp = seen("x86_64", "socket", 2n, 1n, 0n);
    const udp = seen("x86_64", "socket", 10n, 0x80002n, 0n);
    const http = at(2, 0x1f, 0x90, 127, 0, 0, 1);
    const tls = at(10, 1, 187);
    const unix = Uint8Array.from([1, 0, ...new TextEncoder().encode("/srv/db.sock")]);
    const networkOf = (observation: Observation, network: GrantPlace["network"] = "off"): unknown =>
      learnedGrants(observation, { ...place, network }).network;
    assert.deepEqual(networkOf(run([tcp], http, tls)), [443, 8080]);
    assert.deepEqual(networkOf(run([tcp], http, tls), [443]), [8080]);
    assert.equal(networkOf(run([tcp], http), [8080]), undefined);
    assert.equal(networkOf(run([tcp, udp], http)), "host");
    assert.equal(networkOf(run([tcp, udp], http), "host"), undefined);
    assert.equal(networkOf(run([tcp], at(2))), "host", "port 0 is any");
    assert.equal(networkOf(run([tcp])), undefined, "a socket that was never used");
    assert.equal(networkOf(run([], unix)), undefined);
    assert.deepEqual(learnedGrants(run([], unix), place).read, ["/srv/db.sock"]);
  });

  test("grants become sections, and are added to those that are there", () => {
    const grants = { read: ["/srv/a", '~/it"s'], write: ["/srv/out"], network: [80], left: [], exposed: [] };
    const add = (text: string, more: Parameters<typeof addGrants>[1]): string => {
      const added = addGrants({ name: "a.toml", text }, more);
      assert.ok(typeof added === "string", JSON.stringify(added));
      return added;
    };
    const first = add(empty, grants);
    const { files, network } = read(first);
    assert.deepEqual(files, { read: ["/srv/a", '~/it"s'], write: ["/srv/out"] });
    assert.deepEqual(network, { mode: "ports", ports: [80] });
    // In the order in which people write and read them.
    assert.deepEqual(first.match(/^(?:\[(?:files|network)\]|read|write|mode|ports)/gm), [
      ...["[files]", "read", "write"],
      ...["[network]", "mode", "ports"],
    ]);
    const second = add(first, { read: ["/srv/b"], write: [], network: [443], left: [], exposed: [] });
    assert.deepEqual(read(second).files?.read, ["/srv/b", "/srv/a", '~/it"s']);
    assert.deepEqual(read(second).network, { mode: "ports", ports: [443, 80] });
    const open = read(add(second, { read: [], write: [], network: "host", left: [], exposed: [] })).network;
    assert.equal(open?.mode, "host");
    // As people write lists: on one line, with comments, empty.
    for (const list of ['["/a"]', "[]", '[\n  "/a", # first\n  "/c" # last\n]', '[ "/a", ]']) {
      const written = `${empty}[files] # mine\nread = ${list}\n`;
      const result = read(add(written, { ...grants, network: undefined }));
      assert.deepEqual(result.files?.read.slice(0, 2), ["/srv/a", '~/it"s'], list);
      assert.equal(result.files?.read.length, 2 + (list.match(/"/g)?.length ?? 0) / 2, list);
      assert.deepEqual(result.files?.write, ["/srv/out"]);
    }
    const inline = addGrants({ name: "a.toml", text: `files = { read = [] }\n${empty}` }, grants);
    assert.ok(typeof inline !== "string" && inline.problem.includes("[files]"));
  });

  test("what was used is a comment: nobody is limited by what one run used", () => {
    const text = withLimits(`${empty}[files]\nread = []\n`, { use: { largest: 61_440, processor: 420_000 } });
    assert.match(text, /# Used: 60 MiB in the largest process, 0\.42 s of processor time\./);
    assert.equal(read(text).limits, undefined);
    const limited = read(text.replaceAll(/^# (?=\[limits\]|memory = |cpu-time = )/gm, ""));
    assert.deepEqual(limited.limits, { memory: 128 * 2 ** 20, cpuTime: 8 });
  });

  test("socket addresses", () => {
    const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
    assert.equal(describeAddress(bytes(2, 0, 0x1f, 0x90, 127, 0, 0, 1)), "127.0.0.1:8080");
    assert.equal(
      describeAddress(bytes(10, 0, 0, 80, 0, 0, 0, 0, ...Array<number>(15).fill(0), 1, 0, 0, 0, 0)),
      "[::1]:80",
    );
    assert.equal(describeAddress(bytes(1, 0, 0x2f, 0x61, 0x1b, 0)), 'unix "/a\\x1b"');
    assert.equal(describeAddress(bytes(1, 0, 0, 0x61)), 'unix "@a"');
    for (const short of [bytes(), bytes(2), bytes(2, 0, 1), bytes(10, 0, 1, 1), bytes(16, 0, 0, 0)])
      assert.equal(describeAddress(short), undefined);
  });
});

test("records that are cut off or make no sense are left out", () => {
  for (let length = 0; length < 200; length += 1) {
    const bytes = new Uint8Array(length).fill(length);
    assert.equal(readRecords(bytes).complete, false);
  }
});
