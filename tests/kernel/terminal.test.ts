// Debian packages: python3, less, vim-tiny
// `callgate run` in a real terminal, by an interactive shell: job control, full-screen programs, pipelines.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { probePath, scratchFile, scratchPath } from "./native.ts";
import { ctrl, inTerminal, line, press, prompt, resize, type Step, see, type } from "./terminal.ts";

/** A script, since a shell echoes what is typed: what it prints cannot be taken for what was typed. */
const script = (name: string, text: string): string => scratchFile(name, `#!/bin/sh\n${text}\n`, 0o755);

const run = (command: string): Step => type(`$callgate run $grants -- ${command}\n`);
const status = (expected: string): readonly Step[] => line('echo "status=$?"', `status=${expected}\r`);

/**
 * A program that says so when it is continued. One process: a shell that is stopped between vfork and its child's
 * exec waits for the child without being stopped itself.
 */
const continued = (name: string, word: string): string =>
  scratchFile(
    name,
    `#!/usr/bin/python3
import os, signal
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"${word}\\n"))
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.write(1, b"up\\n")
while True: signal.pause()
`,
    0o755,
  );

const sleeper = script("sleeper", "echo up; exec sleep 100");
const manyLines = scratchFile(
  "many-lines",
  Array.from({ length: 500 }, (_, index) => `line-${String(index + 1).padStart(4, "0")}\n`).join(""),
);

test("Ctrl-C ends the program, and the shell sees 130", () => {
  inTerminal([run(sleeper), see("up\r"), ctrl.c, prompt, status("130")]);
});

test("Ctrl-\\ ends the program, and the shell sees 131", () => {
  inTerminal([line("ulimit -c 0"), run(sleeper), see("up\r"), ctrl.backslash, prompt, status("131")]);
});

test("a program that handles Ctrl-C decides its status itself", () => {
  const handler = script("handler", "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done");
  inTerminal([run(handler), see("up\r"), ctrl.c, see("caught\r"), prompt, status("9")]);
});

test("Ctrl-Z stops the program, jobs shows it, fg continues it", () => {
  inTerminal([
    run("cat"),
    type("one\n"),
    see("one\r\none\r"),
    ctrl.z,
    see(String.raw`\[1\]\+\s+Stopped.*run .*-- cat\r`),
    prompt,
    status("148"),
    line("jobs", String.raw`\[1\]\+\s+Stopped.*run .*-- cat\r`),
    type("fg\n"),
    see("run .*-- cat\r"),
    type("two\n"),
    see("two\r\ntwo\r"),
    ctrl.d,
    prompt,
    status("0"),
    line("jobs; echo no''thing", "jobs; echo no''thing\r\nnothing\r"),
  ]);
});

test("Ctrl-Z does not stop who answers denied calls: a process that goes on gets its answers", () => {
  const answers = scratchPath("answers");
  // Of a session of its own, which the key does not reach.
  const outside = script(
    "outside",
    `: > ${answers}.up; until [ -e ${answers}.go ]; do sleep 0.1; done; ${probePath} keyctl > ${answers}; : > ${answers}.done`,
  );
  const inside = script(
    "inside",
    `setsid ${outside} < /dev/null > /dev/null 2>&1 & until [ -e ${answers}.up ]; do sleep 0.1; done; echo up; read -r line`,
  );
  inTerminal([
    type(`$callgate run --filter-only --report=end -- ${inside}\n`),
    see("up\r"),
    press(ctrl.z, "Stopped"),
    prompt,
    ...line(
      `: > ${answers}.go; until [ -e ${answers}.done ]; do sleep 0.1; done; cat ${answers}`,
      "keyctl: EPERM",
    ),
    ...line("jobs", "Stopped"),
    type("fg\n"),
    see("run .*inside\r"),
    type("\n"),
    see("callgate: one kind of call was denied\r"),
    see("denied {2}keyctl"),
    prompt,
  ]);
});

test("bg continues a stopped program in the background, and kill %1 ends it", () => {
  const ticking = continued("ticking", "tick");
  inTerminal([
    run(ticking),
    see("up\r"),
    press(ctrl.z, "Stopped"),
    prompt,
    type("bg\n"),
    see("tick\r"),
    line("jobs", "Running"),
    line('kill %1; wait %1; echo "ended=$?"', "ended=143\r"),
  ]);
});

test("a program that ignores Ctrl-Z keeps running", () => {
  const ignoring = script("ignoring", "trap '' TSTP; echo up; read -r line; echo got $line");
  inTerminal([
    run(ignoring),
    see("up\r"),
    ctrl.z,
    type("more\n"),
    see("got more\r"),
    prompt,
    line("jobs; echo no''thing", "jobs; echo no''thing\r\nnothing\r"),
  ]);
});

/** A line that starts callgate, waits for rules that nobody has written yet, and what appears once it waits. */
const preparing = (command: string): readonly Step[] =>
  [
    line("mkfifo rules"),
    type(`(until ${waitingForRules} "$PWD/rules"; do sleep 0.1; done; echo is'' preparing) & `),
    type(`$callgate run --rules "$PWD/rules" -- ${command}\n`),
    see("is preparing\r"),
  ].flat();
const waitingForRules = script(
  "waiting-for-rules",
  'for file in /proc/[0-9]*/cmdline; do tr "\\0" " " <"$file"; echo; done 2>/dev/null | grep -q "[m]ain.cjs run --rules $1 "',
);

test("Ctrl-C while callgate prepares: 130, and the program does not start", () => {
  inTerminal([
    ...preparing("touch started"),
    ctrl.c,
    prompt,
    status("130"),
    line("echo in: *", "in: rules\r"),
  ]);
});

test("Ctrl-Z while callgate prepares: fg goes on with it", () => {
  inTerminal([
    ...preparing("uname"),
    ctrl.z,
    see("Stopped"),
    prompt,
    type("(sleep 0.2; echo deny uname >rules) & fg\n"),
    see("cannot get system name: Operation not permitted"),
    prompt,
    status("1"),
  ]);
});

test("less shows a file, scrolls, searches and quits, and leaves the terminal as it was", () => {
  const { found } = inTerminal([
    line('echo "before=$(stty -g)"', "before=(?P<before>[0-9a-f:]+)\r"),
    run(`less ${manyLines}`),
    see("line-0001"),
    type(" "),
    see("line-0040"),
    type("G"),
    see("line-0500"),
    type("?line-0250\n"),
    see("line-0250"),
    type("q"),
    prompt,
    status("0"),
    line('echo "after=$(stty -g)"', "after=(?P<after>[0-9a-f:]+)\r"),
  ]);
  assert.equal(found["after"], found["before"]);
});

test("less stopped by Ctrl-Z and continued paints its screen again", () => {
  const { found } = inTerminal([
    line('echo "before=$(stty -g)"', "before=(?P<before>[0-9a-f:]+)\r"),
    run(`less ${manyLines}`),
    see("line-0023"),
    press(ctrl.z, "Stopped"),
    prompt,
    line('echo "stopped=$(stty -g)"', "stopped=(?P<stopped>[0-9a-f:]+)\r"),
    type("fg\n"),
    see("line-0023"),
    type("q"),
    prompt,
    line('echo "after=$(stty -g)"', "after=(?P<after>[0-9a-f:]+)\r"),
  ]);
  assert.equal(found["stopped"], found["before"]);
  assert.equal(found["after"], found["before"]);
});

test("vi opens a file, edits and saves it, and leaves the terminal as it was", () => {
  const file = scratchFile("edited", "first line\n", 0o666);
  const vi = ["vim.tiny", "vim", "vi"].find((name) => spawnSync(name, ["--version"]).status === 0) ?? "vi";
  const { found } = inTerminal([
    line('echo "before=$(stty -g)"', "before=(?P<before>[0-9a-f:]+)\r"),
    run(`${vi} -u NONE -N ${file}`),
    see("first line"),
    type("osecond line\x1b:wq\n"),
    prompt,
    status("0"),
    line('echo "after=$(stty -g)"', "after=(?P<after>[0-9a-f:]+)\r"),
  ]);
  assert.equal(readFileSync(file, "utf8"), "first line\nsecond line\n");
  assert.equal(found["after"], found["before"]);
});

test("a pipeline with callgate at its head, in its middle and at its end", () => {
  inTerminal([
    line("$callgate run $grants -- printf 'a\\nb\\n' | tr a-z A-Z", "\nA\r\nB\r\n"),
    line("printf 'a\\nb\\n' | $callgate run $grants -- tr a-z A-Z | cat", "\nA\r\nB\r\n"),
    line("printf 'a\\nb\\n' | $callgate run $grants -- tr a-z A-Z", "\nA\r\nB\r\n"),
    line(
      "$callgate run $grants -- printf 'a\\nb\\n' | $callgate run $grants -- tr a-z A-Z | $callgate run $grants -- tac",
      "\nB\r\nA\r\n",
    ),
  ]);
});

test("Ctrl-C ends every part of a pipeline", () => {
  inTerminal([
    type(`$callgate run $grants -- ${sleeper} | $callgate run $grants -- cat\n`),
    see("up\r"),
    ctrl.c,
    prompt,
    line(`echo parts=\${PIPESTATUS[*]}`, "parts=130 130\r"),
  ]);
});

for (const [where, command] of [
  ["behind callgate", `$callgate run $grants -- cat ${manyLines} | less`],
  ["under callgate, behind a pipe", `cat ${manyLines} | $callgate run $grants -- less`],
] as const) {
  test(`less ${where} gets its keys, and leaves the terminal as it was`, () => {
    const { found } = inTerminal([
      line('echo "before=$(stty -g)"', "before=(?P<before>[0-9a-f:]+)\r"),
      type(`${command}\n`),
      see("line-0023"),
      type("G"),
      see("line-0500"),
      type("q"),
      prompt,
      line('echo "after=$(stty -g)"', "after=(?P<after>[0-9a-f:]+)\r"),
    ]);
    assert.equal(found["after"], found["before"]);
  });
}

test("a background job that reads the terminal is stopped, as it is without callgate", () => {
  for (const command of ["cat", "$callgate run $grants -- cat"]) {
    inTerminal([
      type(`${command} & until jobs %1 | grep -q 'Stopped'; do sleep 0.1; done\n`),
      prompt,
      line("jobs -l", String.raw`\[1\]\+ +[0-9]+ Stopped \(tty input\) .*cat\r`),
      type("fg\n"),
      see("cat\r"),
      type("line\n"),
      see("line\r\nline\r"),
      ctrl.d,
      prompt,
      status("0"),
    ]);
  }
});

test("the window's size and its changes reach the program", () => {
  const watching = script("watching", "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done");
  inTerminal([
    run(watching),
    see("24 80\r"),
    resize(40, 111),
    see("40 111\r"),
    ctrl.c,
    prompt,
    status("130"),
  ]);
});

test("with the filter alone, the program is its own process group, in the terminal's foreground, and the shell's child", () => {
  const place = script(
    "place",
    'read -r pid _ _ parent group session _ front _ <"/proc/$$/stat"; echo "pid=$pid parent=$parent group=$group session=$session front=$front."',
  );
  const { found } = inTerminal([
    line("echo shell=$$", "shell=(?P<shell>[0-9]+)\r"),
    type(`$callgate run --filter-only -- ${place}\n`),
    see("pid=(?P<pid>[0-9]+) parent=(?P<parent>[0-9]+) group=(?P<group>[0-9]+) session=(?P<session>[0-9]+)"),
    see(String.raw`front=(?P<front>[0-9]+)\.`),
    prompt,
  ]);
  const { shell, pid, parent, group, session, front } = found;
  assert.deepEqual(
    { parent, group, session, front },
    { parent: shell, group: pid, session: shell, front: pid },
  );
});

test("an interactive shell under callgate has job control of its own", () => {
  // It says when it is back: a shell names the job before the job has the terminal, and a Ctrl-C in between is lost.
  const returner = continued("returner", "back");
  inTerminal([
    type("PS1='inner> ' $callgate run --env PS1 $grants -- bash --norc --noprofile --noediting -i\n"),
    see("inner> "),
    type(`${returner}\n`),
    see("up\r"),
    press(ctrl.z, "Stopped.*\r"),
    see("inner> "),
    type("fg\n"),
    see("back\r"),
    press(ctrl.c, "inner> "),
    type('echo "inner=$?"\n'),
    see("inner=130\r"),
    see("inner> "),
    type("exit 5\n"),
    prompt,
    status("5"),
  ]);
});

test("the terminal that is hung up ends the program", () => {
  const { found } = inTerminal([
    run(script("named", "echo pid=$$.; exec sleep 100")),
    see(String.raw`pid=(?P<pid>[0-9]+)\.`),
  ]);
  const end = Date.now() + 60_000;
  const isThere = (): boolean => {
    try {
      return readFileSync(`/proc/${found["pid"]}/cmdline`, "latin1").startsWith("sleep\x00100");
    } catch {
      return false;
    }
  };
  while (isThere() && Date.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  assert.equal(isThere(), false);
});
