/** What the commands print and how they end: help, wrong usage, check and explain. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseArguments } from "../../src/cli/arguments.ts";
import { commandGroups, commands } from "../../src/cli/commands.ts";
import { version } from "../../src/cli/version.ts";
import { packageRoot } from "../../src/sandbox/package-files.ts";
import { isRoot, ordinaryUser, scratch, scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate, shell } from "./callgate.ts";

const small = scratchFile("small.toml", 'version = 1\n[syscalls]\nrules = "allow @default, @basic-io"\n');
const mistaken = scratchFile(
  "thumbnailer.toml",
  `version = 1
name = "thumbnailer"

[syscalls]
default = "deny"
rules = '''
deny unshaer
allow ptrace
deny socket(domian == AF_INET)
'''
`,
);
const late = scratchFile(
  "late.toml",
  "version = 1\n[syscalls]\nrules = '''\nallow @default, @basic-io\nallow ptrace\nallow ptrace(request == PTRACE_TRACEME)\n'''\n",
);

test("the version is the package's", () => {
  const parsed: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  assert.ok(typeof parsed === "object" && parsed !== null && "version" in parsed);
  assert.equal(version, parsed.version);
  assert.equal(callgate(["--version"]).stdout, `callgate ${version}\n`);
});

/** The command's parts in the order of scripts/build-cli.mjs. */
const parts = ["main", "run", "core", "check", "filter", "lxc", "other"];

test("V8's code caches are those of these very parts: V8 itself would take any of the same length", () => {
  const folder = join(packageRoot(), "dist", "cli");
  const build = /^const build = "([0-9a-f]{32})";$/m.exec(
    readFileSync(join(folder, "main.cjs"), "utf8"),
  )?.[1];
  assert.ok(build !== undefined);
  // As the build reckons it: the parts in their order, and then the tables.
  const digest = createHash("sha256");
  for (const part of parts) digest.update(readFileSync(join(folder, `${part}.js`)));
  const tables = readFileSync(join(folder, "tables.txt"));
  assert.ok(tables.length > 0);
  digest.update(tables);
  assert.equal(build, digest.digest("hex").slice(0, 32));
  const caches = readdirSync(join(folder, "caches"));
  for (const cache of caches)
    assert.ok(
      parts.some((part) => cache.startsWith(`${part}-${build}-`)),
      cache,
    );
  // Of Node's versions at least the one that has built this.
  for (const part of parts)
    assert.ok(
      caches.some((cache) => cache.startsWith(`${part}-`)),
      part,
    );
});

test("a command reads only its parts: check leaves the compiler and the other commands alone", () => {
  const main = join(packageRoot(), "dist", "cli", "main.cjs");
  const asked = `const { parts } = require(${JSON.stringify(main)});
    process.on("exit", () => process.stderr.write([...parts.keys()].join(" ")));`;
  const loaded = (...args: readonly string[]): string =>
    spawnSync(process.execPath, ["-e", asked, main, ...args], { encoding: "utf8" })
      .stderr.split("\n")
      .at(-1) ?? "";
  assert.equal(loaded("--version"), "main");
  assert.equal(loaded("check", "strict"), "main check core");
  assert.equal(loaded("compile", "strict"), "main filter core");
  assert.equal(loaded("policies"), "main other core");
});

test("the general help lists every command", () => {
  const { status, stdout } = callgate(["--help"]);
  assert.equal(status, 0);
  const alone = commands.filter(({ name }) => !name.includes(" "));
  for (const { name, summary } of [...alone, ...commandGroups])
    assert.match(stdout, new RegExp(`^  ${name} +${summary.slice(0, 12)}`, "m"));
});

for (const group of commandGroups) {
  test(`${group.name} --help lists its commands; without a command it does so too, and ends with 2`, () => {
    const { status, stdout } = callgate([group.name, "--help"]);
    assert.equal(status, 0);
    const own = commands.filter(({ name }) => name.startsWith(`${group.name} `));
    assert.ok(own.length > 0);
    for (const { name } of own) assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    assert.equal(callgate(["help", group.name]).stdout, stdout);
    const alone = callgate([group.name]);
    assert.deepEqual([alone.status, alone.stdout, alone.stderr], [2, "", stdout]);
    assert.equal(callgate([group.name, "nonsense"]).status, 2);
  });
}

/** What the watcher and the launcher start Node by. */
for (const [word, command] of [
  ["learn-on", "learn"],
  ["tell-denials", "run"],
] as const) {
  test(`${word} is callgate's own: nobody is offered it, and who types it is told`, () => {
    const policy = scratchPath(`${word}.toml`);
    const lines = [[word], [word, "-o", policy, "--", "true"]];
    for (const line of lines) {
      const { status, stdout, stderr } = callgate(line);
      assert.deepEqual([status, stdout], [2, ""]);
      assert.equal(
        stderr,
        `callgate: ${word} is no command: callgate starts itself by it and hands something over; callgate ${command} is one\n`,
      );
    }
    // Other descriptors are in the places of those that are handed over.
    const files = shell(`"$callgate" ${word} -o ${policy} -- true 3<${small} 4</dev/null`);
    assert.deepEqual([files.status, files.stdout], [2, ""]);
    assert.match(files.stderr, / is no command: /);
    const said = [
      callgate(["--help"]),
      callgate(["help", command]),
      ...["bash", "zsh", "fish"].map((name) => callgate(["completions", name])),
    ];
    for (const { status, stdout } of said) {
      assert.equal(status, 0);
      assert.doesNotMatch(stdout, new RegExp(word));
    }
  });
}

test("every command of two words belongs to a group", () => {
  for (const { name } of commands.filter((command) => command.name.includes(" ")))
    assert.ok(
      commandGroups.some((group) => group.name === name.split(" ")[0]),
      name,
    );
});

for (const command of commands) {
  test(`${command.name} --help says how, with examples that its own table reads`, () => {
    const words = command.name.split(" ");
    const { status, stdout } = callgate([...words, "--help"]);
    assert.equal(status, 0);
    assert.equal(callgate(["help", ...words]).stdout, stdout);
    assert.match(stdout, new RegExp(`^usage: callgate ${command.name}`));
    assert.ok(stdout.split("\n").every((line) => line.length <= 80 || !line.includes(" ", 4)));
    assert.ok(command.examples.length > 0);
    for (const example of command.examples) {
      assert.ok(stdout.includes(example.command));
      const line = [...example.command.matchAll(/'([^']*)'|(\S+)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? "",
      );
      const from = line.findIndex((word, at) => word === "callgate" && line[at + 1] === words[0]);
      assert.ok(from >= 0, example.command);
      assert.deepEqual(line.slice(from + 1, from + 1 + words.length), words);
      parseArguments(line.slice(from + 1 + words.length), command);
    }
  });
}

const wrongUsage: readonly (readonly [readonly string[], number, RegExp])[] = [
  [[], 2, /usage: callgate COMMAND/],
  [["rnu"], 2, /no command "rnu": did you mean run\?/],
  [["expl"], 2, /no command "expl": did you mean explain\?/],
  [["version"], 2, /no command "version": did you mean --version\?/],
  [["--vers"], 2, /no option --vers before the command: did you mean --version\?/],
  [["help", "explian"], 2, /no command "explian": did you mean explain\?/],
  [["help", "nonsense"], 2, /no command "nonsense"\n/],
  [["explain", "--abi", "amd64", "default", "read"], 2, /no ABI "amd64": ABIs are native, x86_64/],
  [["check"], 2, /the policy is missing/],
  [["check", "--jsno", "x"], 2, /no option --jsno: did you mean --json\?/],
  [["explain", "default"], 2, /a policy and a call/],
  [["explain", "default", "socketpair", "more"], 2, /one call/],
  [["run"], 125, /the command is missing/],
  [["run", "--polcy", "x", "--", "true"], 125, /no option --polcy: did you mean --policy\?/],
  [["run", "--policy"], 125, /--policy needs a value/],
  [["run", "--policy", "--", "true"], 125, /--policy needs a value: --policy FILE\|NAME\n/],
  [
    ["run", "--policy", "--abi", "x86", "--", "true"],
    125,
    /one that begins with - is written --policy=--abi/,
  ],
  [["run", "--dry-run=yes", "--", "true"], 125, /takes no value/],
  [["run", "--abi", "amd64", "--", "true"], 125, /no ABI "amd64"/],
  [["run", "--keep-fd", "x", "--", "true"], 125, /no descriptor/],
  [["run", "--missing", "filse", "--", "true"], 125, /no layer "filse"/],
];
for (const [args, status, message] of wrongUsage) {
  test(`callgate ${args.join(" ")} ends with ${status} and says what is wrong`, () => {
    const found = callgate(args);
    assert.equal(found.status, status);
    assert.match(found.stderr, message);
    assert.equal(found.stdout, "");
    assert.doesNotMatch(found.stderr, /\n {4}at /);
  });
}

test("check points at the exact word, and says what was meant", () => {
  const { status, stdout } = callgate(["check", mistaken]);
  assert.equal(status, 1);
  assert.equal(
    stdout.replaceAll(mistaken, "thumbnailer.toml"),
    `thumbnailer.toml:7:6 error unknown-syscall: there is no system call "unshaer"
   7 | deny unshaer
     |      ^^^^^^^ did you mean unshare?
thumbnailer.toml:9:13 error unknown-argument: socket has no argument "domian"
   9 | deny socket(domian == AF_INET)
     |             ^^^^^^
     = did you mean domain? its arguments are domain (int), type (int) and protocol (int)
2 errors
`,
  );
});

test("check shows every mistake of the rules at once, each under its word", () => {
  const file = scratchFile(
    "rules.toml",
    `version = 1
[syscalls]
baseline = "6.1"
rules = '''
allow @default, @basic-io
errno(EWHAT) unshare
allow socket(domain == AF_INTE)
deny @moutn
'''
`,
  );
  const { status, stdout } = callgate(["check", file]);
  assert.equal(status, 1);
  assert.equal(
    stdout.replaceAll(file, "rules.toml"),
    `rules.toml:6:7 error unknown-errno: there is no errno "EWHAT"
   6 | errno(EWHAT) unshare
     |       ^^^^^ errnos are written EPERM, ENOSYS, …, or as a number
rules.toml:7:24 error unknown-constant: there is no constant "AF_INTE"
   7 | allow socket(domain == AF_INTE)
     |                        ^^^^^^^ did you mean AF_INET?
rules.toml:8:6 error unknown-group: there is no group "@moutn"
   8 | deny @moutn
     |      ^^^^^^ did you mean @mount?
3 errors
`,
  );
});

test("check of a key that is not there, and of what is not TOML", () => {
  const key = scratchFile(
    "key.toml",
    'version = 1\n[syscalls]\nrules = "allow read"\n[files]\nraed = ["/usr"]\n',
  );
  assert.equal(
    callgate(["check", key]).stdout.replaceAll(key, "key.toml"),
    `key.toml:5:1 error unknown-key: there is no key "raed" in [files]
   5 | raed = ["/usr"]
     | ^^^^ did you mean read?
1 error
`,
  );
  const broken = scratchFile("broken.toml", 'version = 1\n[syscalls\nrules = "deny unshaer"\n');
  const { status, stdout } = callgate(["check", broken]);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /broken\.toml:3:1 error toml-syntax: this is not TOML: .*\n {3}3 \| rules.*\n {5}\| \^\n1 error\n$/,
  );
});

test("check on several files reports all of them; one that cannot be read makes it 2", () => {
  const { status, stdout } = callgate(["check", small, mistaken, "/no/such.toml", "default"]);
  assert.equal(status, 2);
  assert.match(stdout, /unknown-syscall(.|\n)*unknown-argument(.|\n)*unreadable(.|\n)*\n3 errors\n$/);
  assert.equal(callgate(["check", small, "default"]).stdout, `${small} and default: no mistakes found\n`);
});

test("check of a file that its user may not read", (t) => {
  if (!isRoot) return t.skip("only root can become another user here");
  const secret = scratchFile("secret.toml", "version = 1\n", 0o600);
  const { status, stdout } = callgate(["check", secret], { uid: ordinaryUser.uid, cwd: "/" });
  assert.equal(status, 2);
  assert.match(stdout, /cannot read ".*secret\.toml": permission denied/);
});

test("check reports a rule that can never decide, as a warning", () => {
  const { status, stdout } = callgate(["check", late]);
  assert.equal(status, 0);
  assert.match(stdout, /:6:\d+ warning unreachable-rule: .*line 5 already matches every call to ptrace/);
});

test("check finds nothing wrong with the built-in policies", () => {
  const { status, stdout } = callgate(["check", "default"]);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /error|warning/);
});

test("check --json prints one object with a diagnostic for each mistake", () => {
  const { status, stdout } = callgate(["check", "--json", mistaken, small]);
  assert.equal(status, 1);
  const found: unknown = JSON.parse(stdout);
  assert.ok(
    typeof found === "object" && found !== null && "diagnostics" in found && Array.isArray(found.diagnostics),
  );
  assert.ok("ok" in found && found.ok === false && "errors" in found && found.errors === 2);
  const [first]: readonly unknown[] = found.diagnostics;
  assert.ok(typeof first === "object" && first !== null);
  assert.deepEqual(
    ["id", "severity", "file", "line", "column", "endColumn"].map((key) => Reflect.get(first, key)),
    ["unknown-syscall", "error", mistaken, 7, 6, 13],
  );
});

test("check reads standard input as -, and ends with 2 for what cannot be read", () => {
  assert.equal(callgate(["check", "-"], { input: readFileSync(small, "utf8") }).status, 0);
  const missing = callgate(["check", "/no/such/file.toml"]);
  assert.equal(missing.status, 2);
  assert.match(missing.stdout, /cannot read "\/no\/such\/file.toml": there is no such file/);
  const folder = callgate(["check", scratch()]);
  assert.equal(folder.status, 2);
  assert.match(folder.stdout, /it is a directory/);
});

const several = scratchFile(
  "several.toml",
  `version = 1
[syscalls]
abis = ["x86_64", "x86", "x32"]
rules = '''
allow read, #999
deny socket(domain == AF_NETLINK)
allow socket, socketcall
'''
`,
);
const explained: (readonly [string, readonly string[], RegExp])[] = [
  [
    "by position",
    ["default", "socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)"],
    /^x86_64 {2}socket\(domain = AF_NETLINK, type = SOCK_RAW, protocol = NETLINK_AUDIT\)\nerrno +EPROTONOSUPPORT, by built-in default:\d+ {2}errno/,
  ],
  [
    "by name",
    ["default", "clone(flags = CLONE_NEWUSER)"],
    /^deny +EPERM, by built-in default:\d+ {2}deny clone\(/m,
  ],
  ["with arguments left out: every case", ["default", "personality"], /allow.*\n.*e\.g\. .*\ndeny/s],
  ["an unknown number", ["default", "#4000"], /ENOSYS, because no call with this number is known/],
  ["a newer call", ["default", "listmount"], /ENOSYS, because it is newer than the baseline, Linux 6\.1/],
  ["an ABI without rules", ["default", "x86:getpid"], /kill +because the policy has no rules for x86/],
  [
    "behind a multiplexer",
    [scratchFile("x86.toml", 'version = 1\n[syscalls]\nabis = ["x86"]\nrules = "allow socket"\n'), "socket"],
    /socket, through socketcall\nallow/,
  ],
];
explained.push(
  [
    "on several ABIs, with arguments that lie in memory on one way",
    [several, "socket(AF_NETLINK, SOCK_RAW, 0)"],
    /^x86_64 {2}socket\(.*\ndeny .*\n\nx86 {5}socket\(.*\)\ndeny .*\n\nx86 .*, through socketcall\n {8}domain, type and protocol lie in memory here, where no filter can see\ndeny .*\n\nx32 .*\ndeny .*\n$/,
  ],
  ["on one ABI of several", ["--abi", "x32", several, "read"], /^x32 {5}read\nallow {3}by .*\n$/],
  ["on the native ABI", ["--abi", "native", several, "read"], /^(x86_64|aarch64) +read\nallow {3}by .*\n$/],
  [
    "a call that one ABI alone has",
    [several, "vm86"],
    /^x86 {5}vm86\ndeny {4}EPERM, because no rule matches: it is the policy's default\n$/,
  ],
  ["a number that a rule names", [several, "#999"], /^x86_64 {2}#999\nallow {3}by .*\n\nx86 {5}#999\nallow/],
);
for (const [name, args, expected] of explained) {
  test(`explain: ${name}`, () => {
    const { status, stdout, stderr } = callgate(["explain", ...args]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, expected);
  });
}

test("explain --json prints one object a case, with the keys of the contract", () => {
  const { stdout } = callgate(["explain", "--json", "default", "keyctl(KEYCTL_GET_KEYRING_ID)"]);
  const found: unknown = JSON.parse(stdout);
  assert.ok(typeof found === "object" && found !== null && "rule" in found);
  const { rule } = found;
  assert.ok(typeof rule === "object" && rule !== null && "line" in rule && typeof rule.line === "number");
  assert.deepEqual(
    ["abi", "syscall", "nr", "action", "errno", "by"].map((key) => Reflect.get(found, key)),
    ["x86_64", "keyctl", 250, "errno", "EPERM", "rule"],
  );
  assert.deepEqual(Object.keys(rule), ["file", "line", "column", "text", "reason"]);
});

test("explain --json prints a line a case, each with the same keys, and what no filter sees", () => {
  const { stdout } = callgate(["explain", "--json", several, "x86:socket(AF_NETLINK)"]);
  const cases: readonly unknown[] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const keys = [
    "abi",
    "syscall",
    "nr",
    "action",
    "errno",
    "by",
    "rule",
    "through",
    "twinOf",
    "unseen",
    "example",
  ];
  const found = cases.map((one) => {
    assert.ok(typeof one === "object" && one !== null);
    assert.deepEqual(Object.keys(one), keys);
    return ["nr", "action", "through", "unseen"].map((key) => Reflect.get(one, key));
  });
  assert.deepEqual(found, [
    [359, "errno", null, []],
    [102, "errno", "socketcall", ["domain"]],
  ]);
  const other = callgate(["explain", "--json", "default", "x86:getpid"]);
  const answer: unknown = JSON.parse(other.stdout);
  assert.ok(typeof answer === "object" && answer !== null && "rule" in answer && "by" in answer);
  assert.deepEqual([answer.rule, answer.by], [null, "other-abis"]);
});

test("explain refuses what is no call, with the caret under it", () => {
  const { status, stderr } = callgate(["explain", "default", "soket(1)"]);
  assert.equal(status, 2);
  assert.match(stderr, /no system call "soket".*\n.*soket\(1\)\n.*\^{5} did you mean socket\?/);
});
