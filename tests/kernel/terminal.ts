// An interactive bash in a pseudo-terminal, typed at step by step. Needs python3, whose pty module makes it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, scratch, scratchFile } from "./native.ts";

/** One step: keys to type, patterns to wait for, or a new size of the window (rows, columns). */
export type Step =
  | { readonly type: string }
  | { readonly see: string }
  | { readonly all: readonly string[] }
  | { readonly press: string; readonly until: string }
  | { readonly resize: readonly [number, number] };

export const type = (text: string): Step => ({ type: text });
/** Waits for a regular expression of Python's; its named groups are what `inTerminal` returns. */
export const see = (pattern: string): Step => ({ see: pattern });
/** Waits for all of these, in whatever order they come: what two processes say has none. */
export const seeAll = (...patterns: readonly string[]): Step => ({ all: patterns });
export const resize = (rows: number, columns: number): Step => ({ resize: [rows, columns] });

/**
 * Presses a key until a pattern appears, as people do: on a busy machine a shell may not have handed the terminal
 * over yet when its job is running already, and the key goes to the shell.
 */
export const press = (key: { readonly type: string }, pattern: string): Step => ({
  press: key.type,
  until: pattern,
});

export const prompt: Step = see("ready> ");
/** A line for the shell, and what must appear before its next prompt. */
export const line = (text: string, ...seen: readonly string[]): readonly Step[] => [
  type(`${text}\n`),
  ...seen.map(see),
  prompt,
];
const key = (text: string): { readonly type: string } => ({ type: text });
export const ctrl = { c: key("\x03"), d: key("\x04"), z: key("\x1a"), backslash: key("\x1c") };

const typist = scratchFile(
  "terminal.py",
  `import fcntl, json, os, pty, re, select, signal, struct, sys, termios, time
steps = json.loads(sys.stdin.read())
size = lambda rows, columns: struct.pack("HHHH", rows, columns, 0, 0)
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, size(24, 80))
    os.environ["PS1"] = "ready> " # here, since python3 may be started by a shell script, and those drop it
    os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
whole, at, found = b"", 0, {}
def see(patterns, seconds=60):
    global whole, at
    end = time.time() + seconds
    while True:
        matches = [re.search(pattern.encode(), whole[at:]) for pattern in patterns]
        if all(matches):
            at += max(match.end() for match in matches)
            for match in matches: found.update({name: value.decode() for name, value in match.groupdict().items()})
            return
        if not select.select([master], [], [], max(0, end - time.time()))[0]:
            raise TimeoutError("waited for %s" % " and ".join(patterns))
        whole += os.read(master, 65536)
def press(key, pattern):
    for attempt in range(60):
        os.write(master, key.encode())
        try: return see([pattern], 1)
        except TimeoutError: pass
    raise TimeoutError("pressed %r and waited for %s" % (key, pattern))
# Who descends from the shell, in which group, in what state and in front or not: what a failure is told with.
def descendants():
    there, mine = {}, {str(pid)}
    for one in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % one) as stat: name, rest = stat.read().rsplit(")", 1)
            with open("/proc/%s/wchan" % one) as wchan: there[one] = (name, rest.split()[:6], wchan.read())
        except OSError: pass # gone meanwhile
    for _ in there: mine |= {one for one, (_, rest, _) in there.items() if rest[1] in mine}
    for one in sorted(mine & there.keys(), key=int):
        name, (state, parent, group, session, _, front), waits = there[one]
        yield "\\n  %s) %s, parent %s, group %s, session %s, in front %s, waits in %s" % (name, state, parent, group, session, front, waits)
problem, step = None, "the start"
try:
    see(["ready> "])
    for step in steps:
        if "type" in step: os.write(master, step["type"].encode())
        elif "see" in step: see([step["see"]])
        elif "all" in step: see(step["all"])
        elif "press" in step: press(step["press"], step["until"])
        else: fcntl.ioctl(master, termios.TIOCSWINSZ, size(*step["resize"]))
except (OSError, TimeoutError) as error:
    problem = "at %s: %s\\nseen since: %r\\nbefore: %r\\nprocesses: %s" % (
        step, error, whole[at:].decode(errors="replace"), whole[:at].decode(errors="replace"), "".join(descendants()))
# Hanging up: bash continues and ends its jobs, and then itself.
os.close(master)
for _ in range(600):
    if os.waitpid(pid, os.WNOHANG)[0]: break
    time.sleep(0.05)
else:
    os.kill(pid, signal.SIGKILL)
print(json.dumps({"problem": problem, "found": found, "whole": whole.decode(errors="replace")}))
`,
);

export interface Seen {
  /** The named groups of what was waited for. */
  readonly found: Readonly<Record<string, string>>;
  /** Everything that the terminal was sent. */
  readonly whole: string;
}

/**
 * Types at a bash that has `$callgate` (the command), `$grants` (options by which programs see the tests' files) and whose prompt is "ready> ", in a folder of its own.
 * @throws Error with what was seen instead, where a pattern did not appear within a minute
 */
export function inTerminal(
  steps: readonly (Step | readonly Step[])[],
  env: Readonly<Record<string, string>> = {},
): Seen {
  const folder = mkdtempSync("/tmp/callgate-terminal-");
  try {
    const result = spawnSync("python3", [typist], {
      input: JSON.stringify(steps.flat()),
      encoding: "utf8",
      cwd: folder,
      timeout: 400_000,
      killSignal: "SIGKILL",
      env: {
        PATH: process.env["PATH"] ?? "/usr/bin:/bin",
        TERM: "xterm",
        LC_ALL: "C.UTF-8",
        HOME: "/home/callgate-tests", // nobody's: what lies above a home is not shown in the sandbox
        callgate: join(root, "bin", "callgate"),
        grants: `--write ${scratch()}`,
        ...env,
      },
    });
    if (result.status !== 0) throw new Error(`the typist: ${result.stderr}${result.error?.message ?? ""}`);
    const { problem, found, whole } = JSON.parse(result.stdout);
    if (typeof problem === "string") throw new Error(problem);
    return { found, whole };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
