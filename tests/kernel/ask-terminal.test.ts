// Questions on a real terminal, by an interactive shell: each answer, job control, and what a program may try.
// Debian packages: gcc, libc6-dev, python3
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodePlan } from "../../src/sandbox/plan.ts";
import { askingPolicy, askingProgram } from "./asking.ts";
import {
  compileC,
  filterBytes,
  isRoot,
  launcherPath,
  planFor,
  refuseFilter,
  root,
  scratchFile,
  scratchPath,
} from "./native.ts";
import { ctrl, inTerminal, line, press, prompt, type Step, see, seeAll, type } from "./terminal.ts";

const program = askingProgram();
const question = see(
  "asks for\\s+socket\\(domain = AF_NETLINK, type = SOCK_RAW, protocol = NETLINK_ROUTE\\)\\s+\\S+  ask socket\\(domain == AF_NETLINK\\)  # netlink\\s+always .*\\s+[^\\n]*o more\\? ",
);
const env = (policy: string): Readonly<Record<string, string>> => ({
  run: `${process.cwd()}/bin/callgate run --report=off --policy ${policy}`,
  asker: program,
});
/** A 32-bit program that types an answer by TIOCSTI, over and over for a second, and says how many keys it has typed. */
const foreignTypist = `
static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
void _start(void) {
  long nap[2] = {0, 100000000}, typed = 0;
  for (int i = 0; i < 10; i++) {
    for (const char *key = "a\\n"; *key != 0; key++) typed += call(54, 0, 0x5412, (long)key) == 0;
    call(162, (long)nap, 0, 0);
  }
  if (typed == 0) call(4, 1, (long)"typed nothing\\n", 14);
  else call(4, 1, (long)"TYPED\\n", 6);
  call(1, 0, 0, 0);
}
`;
const foreignProgram = (): string =>
  compileC("foreign", foreignTypist, ["-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie"]);
const policyFile = (text = askingPolicy): string => scratchFile("asking.toml", text);
const run = (args: string, more = ""): Step => type(`$run --filter-only -- $asker ${args}${more}\n`);
const answer = (text: string): Step => type(`${text}\n`);

for (const [text, first, second, asked] of [
  ["o", "0", "0", 2],
  ["once", "0", "0", 2],
  ["r", "0", "0", 1],
  ["run", "0", "0", 1],
  ["d", "-1", "-1", 1],
  ["DENY", "-1", "-1", 1],
  ["n", "-1", "-1", 1],
] as const) {
  test(`the answer ${text}`, () => {
    const policy = policyFile();
    const steps = Array.from({ length: asked }, () => [question, answer(text)]).flat();
    inTerminal([run("twice"), ...steps, see(`results ${first} ${second}\r`), prompt], env(policy));
    assert.equal(readFileSync(policy, "utf8"), askingPolicy);
  });
}

test("in the whole sandbox, where the program has an own user and pid namespace", () => {
  inTerminal(
    [type("$run --net --read $asker -- $asker twice\n"), question, answer("r"), see("results 0 0\r"), prompt],
    env(policyFile()),
  );
});

test("always: the rule stands in the file, with all that was there, and nobody is asked again", () => {
  const policy = policyFile();
  chmodSync(policy, 0o640);
  const steps = [
    run("twice"),
    question,
    answer("a"),
    see("wrote allow socket.* into /"),
    see("results 0 0\r"),
    prompt,
  ];
  inTerminal([...steps, run("twice"), see("results 0 0\r"), prompt], env(policy));
  const date = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
  const now = readFileSync(policy, "utf8");
  const added = new RegExp(
    `allow socket\\(domain == AF_NETLINK && protocol == NETLINK_ROUTE\\)  # always, as answered on ${date}\n`,
  );
  assert.match(now, added);
  assert.equal(now.replace(added, ""), askingPolicy);
  assert.equal(statSync(policy).mode & 0o777, 0o640);
});

test("always, where there is no file, is for this run, and is said to be", () => {
  inTerminal(
    [
      type(
        `$callgate run --filter-only --report=off --rule 'ask socket(domain == AF_NETLINK)  # netlink' -- ${program} twice\n`,
      ),
      question,
      answer("a"),
      see("allowed for this run only: the policy is in no file"),
      see("results 0 0\r"),
      prompt,
    ],
    env(""),
  );
});

test("always does not write over what somebody has changed meanwhile", () => {
  const policy = policyFile();
  inTerminal(
    [
      run("twice", " & sleep 0"),
      seeAll("ready> ", "waits to be in front"),
      type(`echo '# mine' >> ${policy}; fg\n`),
      question,
      answer("a"),
      see("this run only: .*was changed since"),
      see("results 0 0\r"),
      prompt,
    ],
    env(policy),
  );
  assert.equal(readFileSync(policy, "utf8"), `${askingPolicy}# mine\n`);
});

test("in the background it waits, and takes nothing that is typed at the shell", () => {
  inTerminal(
    [
      run("twice", " &"),
      see("has a question, and waits to be in front \\(fg\\)"),
      ...line("echo a-$((1+1))", "a-2\r"),
      ...line("echo $((2+3))-r", "5-r\r"),
      type("fg\n"),
      question,
      answer("r"),
      see("results 0 0\r"),
      prompt,
    ],
    env(policyFile()),
  );
});

test("a shell in the sandbox that puts its own jobs in front", () => {
  const inner = see("inner> ");
  inTerminal(
    [
      type("$run --filter-only -- bash --norc --noprofile -i\n"),
      see("bash-[0-9.]+[$#] |ready> "),
      // In two parts, since readline shows what is typed: the prompt alone is whole.
      type("PS1='inn''er> '\n"),
      inner,
      type("$asker twice\n"),
      question,
      answer("r"),
      see("results 0 0\r"),
      inner,
      type("exit\n"),
      prompt,
    ],
    env(policyFile()),
  );
});

test("Ctrl-C at a question ends the program", () => {
  inTerminal(
    [run("twice"), question, press(ctrl.c, "ready> "), ...line('echo "status=$?"', "status=130\r")],
    env(policyFile()),
  );
});

test("Ctrl-Z at a question stops the program, and it is asked again when it goes on", () => {
  inTerminal(
    [
      run("twice"),
      question,
      press(ctrl.z, "Stopped"),
      prompt,
      ...line("sleep 1; echo slept-$((1+1))", "slept-2\r"),
      type("fg\n"),
      question,
      answer("r"), // counts, whether the question is printed before the kernel asks anew, or after, or both
      see("results 0 0\r"),
      prompt,
    ],
    env(policyFile()),
  );
});

test("Ctrl-Z and fg at once: the question stands there again", () => {
  inTerminal(
    [
      run("twice"),
      question,
      press(ctrl.z, "Stopped"),
      type("fg\n"),
      question,
      // Where the shell was seen in front between the two, it is printed once more, and what was typed before does not count.
      press({ type: "r\n" }, "results 0 0\r"),
    ],
    env(policyFile()),
  );
});

test("where other ABIs are let through, nobody is asked: they could type", () => {
  const foreign = foreignProgram();
  const policy = policyFile(
    `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nother-abis = "allow"\nrules = "ask socket(domain == AF_NETLINK)"\n`,
  );
  const { whole } = inTerminal(
    [
      type(`$run --filter-only -- sh -c '${foreign} & $asker twice; wait'\n`),
      see("nobody is asked .*: where other-abis lets calls through, the program could type the answers"),
      see("results -1 -1\r"),
    ],
    env(policy),
  );
  assert.equal(whole.includes("asks for"), false, whole);
});

test("where another ABI has rules, it cannot type either, whether somebody is asked or not", () => {
  const foreign = foreignProgram();
  const open = (rules: string): string =>
    policyFile(
      `version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nabis = ["native", "x86"]\nrules = "${rules}"\n`,
    );
  const asks = open("ask x86_64:socket(domain == AF_NETLINK)");
  inTerminal(
    [
      type(`$run --filter-only -- sh -c '${foreign}; $asker twice'\n`),
      see("typed nothing\r"),
      see(
        "asks for\\s+socket[^\\n]*\\s+\\S+  ask x86_64:socket\\(domain == AF_NETLINK\\)\\s+always [^\\n]*\\s+[^\\n]*o more\\? ",
      ),
      answer("d"),
      see("results -1 -1\r"),
      prompt,
    ],
    env(asks),
  );
  // Where the policy asks about nothing it is the sandbox that keeps the terminal.
  for (const sandbox of [
    ["--read", foreign],
    ["--missing", "namespaces", "--read", foreign],
  ])
    inTerminal(
      [type(`$run ${sandbox.join(" ")} -- ${foreign}\n`), see("typed nothing\r"), prompt],
      env(open("deny keyctl")),
    );
});

test("Ctrl-D refuses", () => {
  inTerminal([run("twice"), question, ctrl.d, see("results -1 -1\r"), prompt], env(policyFile()));
});

/** Callgate, asking, where one call of the kernel's is refused: by a filter around it. */
function askingUnder(filter: Uint8Array): {
  readonly command: Step;
  readonly env: Readonly<Record<string, string>>;
} {
  const callgate = join(root, "bin", "callgate");
  const args = ["run", "--report=off", "--policy", policyFile(), "--filter-only", "--", program, "twice"];
  const plan = planFor([{ kind: "noNewPrivileges" }, { kind: "filter", bytes: filter }], callgate, ...args);
  return {
    command: type("$launcher plan 3<$plan; echo ended $?\n"),
    env: { launcher: launcherPath, plan: scratchFile("plan", encodePlan(plan)) },
  };
}

test("a fault: the terminal cannot be opened for who asks, so nobody is asked, and that is said", () => {
  // openat with the flags O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, which nobody else here has: EIO.
  const flags = 2 | constants.O_NONBLOCK | constants.O_NOCTTY | 0x80000;
  const { command, env: variables } = askingUnder(
    filterBytes([
      [0x20, 0, 0, 0],
      [0x15, 0, 3, process.arch === "x64" ? 257 : 56],
      [0x20, 0, 0, 32],
      [0x15, 0, 1, flags],
      [0x06, 0, 0, 0x00050005],
      [0x06, 0, 0, 0x7fff0000],
    ]),
  );
  const said = see('callgate: nobody is asked, since the terminal cannot be opened: openat "/dev/tty": EIO');
  inTerminal([command, said, see("results -1 -1\r"), see("ended 0\r"), prompt], variables);
});

test("a fault: who asks gets no session of his own, so the start ends with 125", () => {
  const { command, env: variables } = askingUnder(refuseFilter(process.arch === "x64" ? 112 : 157, 5));
  const said = see('callgate: set-up step "report" failed: setsid: EIO');
  const { found } = inTerminal([command, said, see("(?P<between>[^#]*)ended 125\r"), prompt], variables);
  assert.doesNotMatch(found["between"] ?? "", /results/);
});

test("what is typed before the question, and what is no answer, is none", () => {
  inTerminal(
    [
      type("sleep 1; $run --filter-only -- $asker twice\n"),
      type("r\n"),
      question,
      answer("all of them"),
      see("o more\\? "),
      answer("rr"),
      see("o more\\? "),
      answer("d"),
      see("results -1 -1\r"),
      prompt,
    ],
    env(policyFile()),
  );
});

test("nothing in a program's name drives the terminal", () => {
  const { whole } = inTerminal(
    [run(`one 0 $(printf '\\033]0;x\\007\\033[2J')`), question, answer("d"), see("result -1\r"), prompt],
    env(policyFile()),
  );
  const asked = whole.slice(whole.indexOf("callgate:"), whole.indexOf("asks for"));
  assert.equal(
    [...asked].some((one) => one < " " || one === "\u007f"),
    false,
    JSON.stringify(asked),
  );
});

test("a program that asks for ever new things is told no once for all", () => {
  const { whole } = inTerminal(
    [run("many 2000"), question, answer("n"), see("allowed 0\r"), prompt],
    env(policyFile()),
  );
  assert.equal(whole.split("asks for").length, 2);
});

test("the program cannot type the answer, although the policy lets everything else through", () => {
  const typing = scratchFile(
    "typing.py",
    `import fcntl, socket, termios, threading
answered = threading.Event()
def typing():
    while not answered.wait(0.1):
        for key in b"a\\n":
            try: fcntl.ioctl(0, termios.TIOCSTI, bytes([key]))
            except OSError as error: print("TIOCSTI", error.errno, flush=True)
threading.Thread(target=typing).start()
try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); print("made")
except OSError as error: print("refused", error.errno)
answered.set()
`,
  );
  const open = policyFile(
    'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = "ask socket(domain == AF_NETLINK)"\n',
  );
  inTerminal(
    [
      type(`$run --filter-only -- python3 ${typing}\n`),
      see("asks for"),
      see("o more\\? "),
      // Both keys, at least once since the question is there.
      see("TIOCSTI 1\r"),
      see("TIOCSTI 1\r"),
      answer("d"),
      see("refused 1\r"),
      prompt,
    ],
    env(open),
  );
});

test("inside another callgate that listens, nobody is asked, and that is said", () => {
  inTerminal(
    [
      type("$run --filter-only -- $run --filter-only -- $asker twice\n"),
      see("nobody is asked, and there are no reports of denied calls: something around callgate listens"),
      see("results -1 -1\r"),
      prompt,
    ],
    env(policyFile()),
  );
});

test("who asks is killed: what waits is refused, and that is said", () => {
  const said = "nobody is asked any more, and what was denied is not told: [^\\n]* was ended by signal 9\\r";
  inTerminal(
    [
      run("twice", " &"),
      see("has a question, and waits to be in front \\(fg\\)"),
      type("kill -9 $(cut -d' ' -f1 /proc/$!/task/$!/children)\n"),
      seeAll(said, "results -1 -1\\r"),
    ],
    env(policyFile()),
  );
});

test("a terminal that hangs up while it is asked on: refused, and said", () => {
  const said = scratchPath("hung-up.txt");
  const script = scratchFile(
    "hang-up.py",
    `import os, pty, re, select, signal, sys
pid, master = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.execv(sys.argv[2], sys.argv[2:])
seen = b""
while b"o more?" not in seen:
    if not select.select([master], [], [], 40)[0]: sys.exit("no question")
    seen += os.read(master, 65536)
os.close(master)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
  );
  const callgate = `${process.cwd()}/bin/callgate`;
  const result = spawnSync(
    "python3",
    [
      ...[script, said, callgate, "run", "--report=off", "--policy", policyFile()],
      ...["--filter-only", "--", program, "twice"],
    ],
    { encoding: "utf8", timeout: 100_000 },
  );
  assert.deepEqual([result.status, result.stderr], [0, ""]);
  const text = readFileSync(said, "utf8");
  assert.match(text, /^results -1 -1$/m);
  assert.match(
    text,
    /^callgate: the policy asks about calls that were refused: the terminal to ask on is gone: writing to it: EIO$/m,
  );
});

test("a policy that cannot be written to", {
  skip: isRoot ? false : "takes a read-only mount of root's",
}, () => {
  const policy = policyFile();
  inTerminal(
    [
      type(
        `unshare -m sh -c 'mount --bind ${policy} ${policy} && mount -o remount,bind,ro ${policy} && exec ${process.cwd()}/bin/callgate run --filter-only --report=off --policy ${policy} -- ${program} twice'\n`,
      ),
      question,
      answer("a"),
      see("this run only: .*was not written"),
      see("results 0 0\r"),
      prompt,
    ],
    env(policy),
  );
  assert.equal(readFileSync(policy, "utf8"), askingPolicy);
});
