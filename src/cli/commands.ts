/** The table of commands: the parser, the help, completions and the man page come from it. */
import { layerNames } from "../policy/keys.ts";
import type { OptionSpec } from "./arguments.ts";
import type { Command, CommandGroup } from "./command.ts";
import { lxcCommands, lxcGroup } from "./lxc/commands.ts";

const help: OptionSpec = { name: "help", short: "h", help: "show this help" };
const json: OptionSpec = { name: "json", help: "print facts for programs, as JSON" };
const from: OptionSpec = {
  name: "from",
  value: "FORMAT",
  help: "the format to read: toml, json, lxc or oci (default: found by the content)",
  completes: ["toml", "json", "lxc", "oci"],
};
const target: OptionSpec = {
  name: "target",
  value: "ABI",
  help: "what native means in the policy (default: this machine's ABI)",
  completes: "abi",
};

/** Where a filter is written, and how. */
const filterOutput: readonly OptionSpec[] = [
  {
    name: "output",
    short: "o",
    value: "FILE",
    help: "write here (default: standard output)",
    completes: "file",
  },
  {
    name: "format",
    value: "FORMAT",
    help: "bpf (the default), asm or c",
    completes: ["bpf", "asm", "c"],
  },
];

/** What decides under what a program is run. */
const sandbox: readonly OptionSpec[] = [
  {
    name: "policy",
    short: "p",
    value: "FILE|NAME",
    help: "the policy: a file, or the name of a built-in one (default: default)",
    completes: "policy",
  },
  {
    name: "allow",
    value: "SELECTORS",
    help: "allow these calls: --allow 'socket(domain == AF_NETLINK), ptrace'",
    completes: "selectors",
  },
  { name: "deny", value: "SELECTORS", help: "deny these calls with EPERM", completes: "selectors" },
  { name: "rule", value: "RULE", help: "any rule of the policy language: --rule 'errno(ENOSYS) statx'" },
  { name: "rules", value: "FILE", help: "rules from a file, a rule a line", completes: "file" },
  {
    name: "abi",
    value: "NAME",
    help: "have rules for this ABI too: x86 lets 32-bit programs run",
    completes: "abi",
  },
  {
    name: "read",
    value: "PATH",
    help: "show this file or folder to the program, read-only",
    completes: "file",
  },
  {
    name: "write",
    value: "PATH",
    help: "let the program write here; start-up files, .git/hooks and the like stay read-only",
    completes: "file",
  },
  { name: "home", help: "your home, as --write ~" },
  { name: "net", help: "the machine's network" },
  { name: "port", value: "N", help: "only TCP, only this port (again for more)" },
  {
    name: "env",
    value: "NAME[=VALUE]",
    help: "pass on this environment variable (a * at its end: all that begin so), or set it",
  },
  { name: "tty", help: "/dev/tty, where none of the standard streams is the terminal" },
  { name: "new-session", help: "a session of its own, without your terminal" },
  { name: "user", value: "NAME", help: "as root: run the program as this user (default: nobody)" },
  { name: "as-root", help: "as root: let the program be root, without capabilities" },
  {
    name: "memory",
    value: "SIZE",
    help: "memory of all together (by cgroup), or of each process where there is none (and then the final line says nothing of it): 512M",
  },
  { name: "processes", value: "N", help: "how many processes and threads there may be" },
  { name: "cpu-time", value: "TIME", help: "processor time of each process: 30s, 5m" },
  { name: "wall-time", value: "TIME", help: "how long the program may run" },
  { name: "file-size", value: "SIZE", help: "the largest file that it may write" },
  {
    name: "open-files",
    value: "N",
    help: "how many files a process may have open (it gets EMFILE; the final line says nothing of it)",
  },
  {
    name: "missing",
    value: "LAYER",
    help: `start although this layer cannot be set up here: ${layerNames.join(", ")}`,
    completes: [...layerNames],
  },
  {
    name: "filter-only",
    help: "nothing but the filter of system calls: files, network, processes as they are",
  },
  { name: "fresh", help: "make a new plan, and neither use one that was kept nor keep this one" },
  {
    name: "keep-fd",
    value: "N",
    help: "leave descriptor N open for the program; all others above 2 are closed",
  },
];

/** What says something of one start. */
const notBuilt: readonly string[] = ["policy", "home", "fresh", "keep-fd"];

/** Groups of commands: `name` is the first of two words. */
export const commandGroups: readonly CommandGroup[] = [lxcGroup];

export const commands: readonly Command[] = [
  {
    name: "run",
    summary: "run a program under a policy",
    operands: "[--] CMD [ARG…]",
    completes: ["program", "file"],
    description: [
      "Runs CMD under a policy: by default the built-in policy `default`, which lets ordinary programs work and refuses what only system software and exploits need. The filter is proved equal to the policy before it is loaded, and cannot be taken off again.",
      "Rules given here come before the policy's own, in the order in which they stand; a policy's `require` comes before everything.",
      "The exit status is the program's own, or 125 when callgate could not start it as asked, 126 when it cannot be executed, and 127 when it is not there.",
    ],
    options: [
      ...sandbox,
      {
        name: "report",
        value: "MODE",
        help: "say what was denied and why: end (the default; off with --filter-only), live, json, all (with what is newer than the baseline), off",
        completes: ["end", "live", "json", "all", "off"],
      },
      {
        name: "report-to",
        value: "FILE|N",
        help: "where the report goes: a file, to whose end it is added, or a descriptor (default: 2)",
        completes: "file",
      },
      { name: "dry-run", help: "say what would be done, and do not run the program" },
      { name: "json", help: "with --dry-run: as JSON" },
      help,
    ],
    examples: [
      { command: "callgate run -- ./untrusted", comment: "the built-in policy" },
      {
        command: "callgate run --deny 'socket(domain != AF_UNIX)' -- python3 script.py",
        comment: "and no network sockets",
      },
      {
        command: "callgate run --policy thumbnailer.toml -- ./thumbnail cat.png",
        comment: "a policy of your own",
      },
      { command: "callgate run --abi x86 -- ./old-32-bit-game", comment: "a 32-bit program" },
    ],
    stopAtOperand: true,
    usageStatus: 125,
    load: () => import("./commands/run.ts"),
  },
  {
    name: "plan",
    summary: "say step by step what run would do",
    operands: "[--] CMD [ARG…]",
    completes: ["program", "file"],
    description: [
      "Takes the options of run, compiles the policy and proves the filter, and says what would be done before CMD runs: every step of the launcher in its order, and whether run would use a plan that it has kept, or what has changed since. Nothing is started.",
      "The exit status is 0 when there is a plan, 1 when the policy has mistakes or asks for what this machine cannot give, or CMD cannot be run, and 2 when a file cannot be read.",
    ],
    options: [...sandbox, json, help],
    examples: [
      { command: "callgate plan -- ./untrusted", comment: "under the built-in policy" },
      {
        command: "callgate plan --policy thumbnailer.toml --json -- ./thumbnail cat.png",
        comment: "for a program",
      },
    ],
    stopAtOperand: true,
    usageStatus: 2,
    load: () => import("./commands/plan.ts"),
  },
  {
    name: "build",
    summary: "write a program with its sandbox as one executable file",
    operands: "POLICY -o FILE -- CMD [ARG…]",
    completes: ["policy", "program", "file"],
    description: [
      "Writes a file that runs CMD under POLICY as run does, and needs neither Node nor callgate: the launcher and its plan, static, some 120 KB (90 KB with --report=off). CMD itself is not in it, and is looked up in PATH now. Arguments of the file go to CMD, behind those that are given here. The same inputs give the same bytes.",
      "It is for others too, and for later. Whoever starts it is who the program runs as (for root: nobody, --user or --as-root); files are opened when it starts, and a start whose grants are not there, or whose kernel has less than the plan needs, ends with 125. Paths that are granted begin with /. The working directory of whoever starts it is shown read-only, as by run, and what it is decides the start: a home (by HOME) or what is above it, /tmp, /run and the like are not shown, nor is any where HOME is not set; the program then begins in an empty home of its own, /home/callgate, and the file says why. Limits of memory and processes are held by a control group where the file is started: v2 where a folder is delegated, v1 as root; elsewhere the file says that none can be made, and the kernel's limits of single processes and users hold (--missing limits: it says nothing of it). /dev/tty is there with --tty only. At its end the file tells what was denied and by which rule, in plain numbers, without Node. Like the launcher it refuses to run set-user-id, set-group-id or with file capabilities.",
      "The exit status is 0 when the file is written, 1 when the policy has mistakes or asks for what cannot be given, when CMD cannot be run, or when there is such a file already, and 2 when a file cannot be read. The file's own is the program's, or 125, 126 and 127 as of run.",
    ],
    options: [
      { name: "output", short: "o", value: "FILE", help: "the file to write", completes: "file" },
      { name: "force", help: "write over a file that is there" },
      ...sandbox.filter(({ name }) => !notBuilt.includes(name)),
      {
        name: "report",
        value: "MODE",
        help: "what the file says of denied calls: end (the default; off with --filter-only), live, all (with what is newer than the baseline), off",
        completes: ["end", "live", "all", "off"],
      },
      help,
    ],
    examples: [
      {
        command: "callgate build default -o jq-safe -- jq",
        comment: "jq-safe FILTER: jq that reads standard input only",
      },
      {
        command: "callgate build thumb.toml -o thumb --read /srv/pictures -- /opt/thumb",
        comment: "for a server without Node",
      },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/build.ts"),
  },
  {
    name: "check",
    summary: "read policies and report every mistake in them",
    operands: "FILE…",
    completes: ["policy"],
    description: [
      "Reads each policy, compiles it and proves the filter, proves what the policy says of itself in `expect`, and reports mistakes, and what is probably not meant, with the exact place and what to write instead. FILE may be the name of a built-in policy, or - for standard input.",
      "The exit status is 0 when there is no error, 1 when there is one, and 2 when a file cannot be read.",
    ],
    options: [
      {
        name: "format",
        value: "FORMAT",
        help: "text (the default), json, github (annotations of a workflow) or sarif (code scanning)",
        completes: ["text", "json", "github", "sarif"],
      },
      { name: "fix", help: "carry out the fixes that are offered, then say what is left" },
      from,
      target,
      json,
      help,
    ],
    examples: [
      { command: "callgate check thumbnailer.toml", comment: "one policy" },
      { command: "callgate check --fix thumbnailer.toml", comment: "mend what can be mended" },
      { command: "callgate check --format github *.toml", comment: "in a workflow of GitHub Actions" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/check.ts"),
  },
  {
    name: "fmt",
    summary: "lay out the rules of policies",
    operands: "FILE…",
    completes: ["file"],
    description: [
      "Lays out the rule blocks of TOML policies in place: actions in one column, one space after a comma, reasons in one column where they fit. Only white space changes, and only between the quotes of rules, require and expect. - reads standard input and prints the result.",
      "The exit status is 0 when all is done, 1 when a policy has mistakes (or, with --check, when one would change), and 2 when a file cannot be read or written.",
    ],
    options: [{ name: "check", help: "change nothing; say what would change, and exit with 1" }, help],
    examples: [
      { command: "callgate fmt thumbnailer.toml", comment: "in place" },
      { command: "callgate fmt --check *.toml", comment: "in a test" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/fmt.ts"),
  },
  {
    name: "explain",
    summary: "what a policy says of a call, and which rule says it",
    operands: "FILE CALL",
    completes: ["policy", "call"],
    description: [
      "Says what the policy decides for a call and why. Arguments are written as in a program, by position or by name; one that is left out may be anything, and then every case is listed with an example.",
    ],
    options: [
      {
        name: "abi",
        value: "NAME",
        help: "only this ABI (default: all that the policy has rules for)",
        completes: "abi",
      },
      from,
      target,
      json,
      help,
    ],
    examples: [
      { command: "callgate explain default 'socket(AF_NETLINK, SOCK_RAW, 0)'", comment: "by position" },
      {
        command: "callgate explain default 'clone(flags = CLONE_NEWUSER)'",
        comment: "by name; the rest is any",
      },
      { command: "callgate explain policy.toml keyctl", comment: "every case" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "audit",
    summary: "which known kernel holes a policy leaves in reach",
    operands: "FILE",
    completes: ["policy"],
    description: [
      "Goes through published holes of the Linux kernel and says which of them a program could still use under the policy, by which call, and which rule lets that call pass. A hole counts as out of reach only where every published way to it needs something that the policy makes impossible, whatever the values of arguments.",
      "It is the reach of what was published: no proof that a policy keeps out what nobody has found yet. That a program cannot get other rights by set-user-id programs is taken for granted: run sees to it.",
      "The exit status is 0 when no hole stays in reach, 1 when one does, and 2 when the policy cannot be read.",
    ],
    options: [
      { name: "as-root", help: "the program has every capability (default: none)" },
      { name: "all", help: "list what is out of reach too, and what it lacks" },
      from,
      target,
      json,
      help,
    ],
    examples: [
      { command: "callgate audit default", comment: "the built-in policy" },
      { command: "callgate audit --json policy.toml", comment: "for a program" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/audit.ts"),
  },
  {
    name: "compile",
    summary: "turn a policy into a filter, proved equal to it",
    operands: "FILE",
    completes: ["policy"],
    description: [
      "Compiles the rules of a policy to a seccomp filter, proves the filter equal to them, and writes it. FILE may be the name of a built-in policy, or - for standard input.",
      "bpf is the kernel's own form, raw struct sock_filter[], as bwrap --seccomp takes it; it is not written to a terminal. asm is a listing that names calls and arguments, and c an array for programs in C.",
      "The exit status is 0 when the filter was written, 1 when the policy has mistakes or the kernel would not take the filter, 2 when a file cannot be read or written, and 3 when the proof was not decided.",
    ],
    options: [
      ...filterOutput,
      {
        name: "optimize",
        value: "FOR",
        help: "kernel (the default: few instructions, and short ways for the calls that run the filter), size (as few as can be), or classic (for kernels without a cache of allowed calls)",
        completes: ["kernel", "size", "classic"],
      },
      {
        name: "target",
        value: "ABI",
        help: "the machine to compile for: what native means in the policy (default: this one)",
        completes: "abi",
      },
      from,
      {
        name: "stack",
        help: "where the kernel takes no filter so large, write several: FILE-1, FILE-2 …, to be loaded together",
      },
      help,
    ],
    examples: [
      {
        command: "callgate compile thumbnailer.toml -o thumbnailer.bpf",
        comment: "to a file, for bwrap --seccomp 9 … 9<thumbnailer.bpf",
      },
      { command: "callgate compile --format asm default", comment: "to read it" },
      {
        command: "callgate compile --format c --target aarch64 default -o filter.c",
        comment: "for a program in C",
      },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/compile.ts"),
  },
  {
    name: "merge",
    summary: "several filters as one, proved to answer as they do together",
    operands: "FILTER…",
    completes: ["file"],
    description: [
      "Reads filters (files with the kernel's raw struct sock_filter[], several of them joined by +, or a process's number), the oldest first, and writes one filter that answers every call as the kernel does for all of them: with the strictest answer, and among equal ones with the newest filter's. It is proved equal to the stack, and mostly far smaller.",
      "The exit status is 0 when it was written, 1 when the kernel would not take the result, 2 when a file cannot be read or written, and 3 when the filters could not be put together.",
    ],
    options: [
      ...filterOutput,
      {
        name: "optimize",
        value: "FOR",
        help: "kernel (the default), size or classic, as for compile",
        completes: ["kernel", "size", "classic"],
      },
      {
        name: "target",
        value: "ABI",
        help: "the machine that the filters are for (default: this one)",
        completes: "abi",
      },
      help,
    ],
    examples: [
      { command: "callgate merge first.bpf second.bpf -o both.bpf", comment: "two files" },
      {
        command: "sudo callgate merge 4711 --format asm",
        comment: "all that a service of systemd's has, in one",
      },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/merge.ts"),
  },
  {
    name: "convert",
    summary: "a policy in another format, with the list of what is lost",
    operands: "FILE",
    completes: ["policy"],
    description: [
      "Reads a policy in any format that callgate reads, found by its content, or a filter (several joined by +, the oldest first; or those of a process, by its number), and writes it in another; callgate formats lists them. What the other format cannot say is named on standard error, a line each.",
      "The exit status is 0 when it was written, 1 when the policy has mistakes, and 2 when a file cannot be read or written.",
    ],
    options: [
      from,
      { name: "to", value: "FORMAT", help: "the format to write", completes: ["toml", "json", "lxc"] },
      {
        name: "output",
        short: "o",
        value: "FILE",
        help: "write here (default: standard output)",
        completes: "file",
      },
      {
        name: "target",
        value: "ABI",
        help: "the machine that it is for (default: this one)",
        completes: "abi",
      },
      help,
    ],
    examples: [
      {
        command: "callgate convert /usr/share/lxc/config/common.seccomp --to toml",
        comment: "what LXC's profile really says",
      },
      {
        command: "callgate convert filter.bpf --to toml",
        comment: "a policy that says the same as a filter, proved",
      },
      {
        command: "callgate convert policy.toml --to lxc -o policy.seccomp",
        comment: "for lxc.seccomp.profile",
      },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/convert.ts"),
  },
  ...lxcCommands,
  {
    name: "policies",
    summary: "the built-in policies",
    operands: "[NAME]",
    completes: ["builtin-policy"],
    description: [
      "Lists the built-in policies, or prints the one that is named, with the reason of every rule: to read, or to begin a policy of your own with (a policy that extends it is usually better).",
      "--schema prints the JSON Schema of policy files, with which editors complete and check them.",
    ],
    options: [{ name: "schema", help: "print the JSON Schema for editors" }, json, help],
    examples: [
      { command: "callgate policies", comment: "which there are" },
      { command: "callgate policies default", comment: "what one says" },
      { command: "callgate policies --schema", comment: "for an editor" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/policies.ts"),
  },
  {
    name: "formats",
    summary: "the formats that are read and written",
    operands: "",
    description: [
      "Lists the formats that callgate reads, and those that it writes. A file's format is found by its content.",
    ],
    options: [json, help],
    examples: [{ command: "callgate formats", comment: "a line each" }],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/formats.ts"),
  },
  {
    name: "completions",
    summary: "completions for bash, zsh or fish",
    operands: "SHELL",
    completes: [["bash", "zsh", "fish"]],
    description: [
      "Prints a script that makes the shell complete commands, options, system calls, groups, ABIs, built-in policies and files. The Debian package installs all three.",
    ],
    options: [help],
    examples: [
      {
        command: "callgate completions bash >~/.local/share/bash-completion/completions/callgate",
        comment: "bash",
      },
      { command: "callgate completions zsh >~/.zfunc/_callgate", comment: "zsh, with ~/.zfunc in fpath" },
      { command: "callgate completions fish >~/.config/fish/completions/callgate.fish", comment: "fish" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/completions.ts"),
  },
  {
    name: "inspect",
    summary: "what filters do, and what they overlook",
    operands: "FILE|PID|-- CMD [ARG…]",
    completes: ["file"],
    description: [
      "Says in words what the filters in FILE, of the process PID, or of the processes that CMD starts allow, under which conditions and on which ABI, how long they are, what the kernel's action cache holds, and what they overlook: each weakness with a call that passes and the remedy. Several files are joined by +, the oldest first.",
      "To read filters of processes back, callgate has to be root outside of containers, and under no filter itself. Without, /proc/PID/status says whether a process has filters, and how many.",
      "The exit status is 0 when it could be said, 2 when there is nothing to read, and 3 when a filter computes more than can be told.",
    ],
    options: [{ name: "asm", help: "the instructions too, with the calls that they are about" }, json, help],
    examples: [
      { command: "sudo callgate inspect 4711", comment: "a process" },
      { command: "sudo callgate inspect -- man true", comment: "whatever a command loads, until it ends" },
      { command: "callgate inspect --asm filter.bpf", comment: "a file" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/inspect.ts"),
  },
  {
    name: "prove",
    summary: "whether a filter says the same as a policy",
    operands: "FILTER POLICY",
    completes: ["file", "policy"],
    description: [
      "Proves that FILTER (the instructions as the kernel takes them: struct sock_filter[]) answers every call of every architecture as POLICY does, or shows a call on which they differ. Several filters joined by + are a stack, the oldest first: the strictest answer holds, and among equals the newest filter's.",
      "FILTER may be the number of a process, whose filters are read back from the kernel (as root). Where callgate started it, its launch key is left out, and what run adds to the policy for its sandbox is known.",
      "The exit status is 0 when it is proved, 1 when it is refuted, 2 when a file cannot be read, and 3 when it could not be decided.",
    ],
    options: [from, target, json, help],
    examples: [
      { command: "callgate prove filter.bpf policy.toml", comment: "a filter that somebody else made" },
      { command: "callgate prove first.bpf+second.bpf policy.toml", comment: "both together" },
      { command: "sudo callgate prove 4711 policy.toml", comment: "what a process really has" },
      {
        command: "callgate prove --target aarch64 arm.bpf default",
        comment: "a filter for another machine",
      },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/prove.ts"),
  },
  {
    name: "diff",
    summary: "how two policies or filters differ",
    operands: "A B",
    completes: ["policy", "policy"],
    description: [
      "Compares two policies, filters, stacks of filters (joined by +, the oldest first) or processes (their filters, by number, as root) over every architecture, number and argument. Every difference is told with the condition under which it exists, and with a call that shows it.",
      "The exit status is 0 when they are equal, 1 when they differ, 2 when a file cannot be read, and 3 when it could not be decided.",
    ],
    options: [
      { name: "stricter", help: "only where B is milder than A: exit with 0 when B is at least as strict" },
      from,
      target,
      json,
      help,
    ],
    examples: [
      { command: "callgate diff before.toml after.toml", comment: "two policies" },
      { command: "callgate diff policy.toml filter.bpf", comment: "a policy and a filter" },
      { command: "callgate diff --stricter default mine.toml", comment: "is mine at least as strict?" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/diff.ts"),
  },
  {
    name: "learn",
    summary: "watch a program, and write a policy that permits what it did",
    operands: "-o FILE [--] CMD [ARG…]",
    completes: ["program", "file"],
    description: [
      "Runs CMD and watches its system calls, its threads' and those of the programs that it starts; then writes a policy to FILE that permits what was seen, with conditions on the arguments that matter, the files that it used and its TCP ports, and runs CMD again under that policy to confirm it, with the filter alone and then in the whole sandbox, adding calls that were still missing.",
      "Where FILE is a policy already, only what it does not permit is watched, and added: run it as often as you like, until nothing new comes. Files and ports are seen only in calls that FILE does not permit yet. Rules that refuse stay. Ctrl-C ends learning, and what was seen until then is written.",
      "While it learns, the program may do whatever you may: learn with input that you trust. The exit status is 0 when the policy was written and confirmed, 1 when the second run went otherwise, and 2 when there is nothing to learn from.",
    ],
    options: [
      {
        name: "output",
        short: "o",
        value: "FILE",
        help: "the policy that is written or extended",
        completes: "file",
      },
      { name: "force", help: "replace FILE instead of extending it" },
      { name: "once", help: "do not run the program again" },
      { name: "phases", help: "say which calls a server needs no more when it has started to listen" },
      { name: "merge", help: "run nothing: the operands are policies, whose rules are put together in FILE" },
      {
        name: "json",
        help: "what was learned as JSON, on standard output; the program's own output goes to standard error",
      },
      help,
    ],
    examples: [
      { command: "callgate learn -o git.toml -- git status", comment: "a first policy" },
      { command: "callgate learn -o git.toml -- git log -3", comment: "and what this needs beyond it" },
      { command: "callgate learn -o all.toml --merge a.toml b.toml", comment: "from two machines" },
    ],
    stopAtOperand: true,
    usageStatus: 2,
    load: () => import("./commands/learn.ts"),
  },
  {
    name: "doctor",
    summary: "what this kernel and system can do, and the fix for what is missing",
    operands: "",
    description: [
      "Asks the kernel, by trying: filters and their actions, calls handed to a supervisor, ABIs, Landlock, user namespaces and what restricts them, a fresh /proc, cgroups, reading filters back; and looks for the launcher, LXC and gcc. Nothing is changed.",
      "The exit status is 0 when everything is there that run needs for its default, else 1.",
    ],
    options: [
      { name: "fix", help: "print the commands and files that mend what is missing, for a shell" },
      json,
      help,
    ],
    examples: [
      { command: "callgate doctor", comment: "a line for each" },
      { command: "callgate doctor --fix", comment: "how to mend it" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "demo",
    summary: "see it work: a program runs, and eight attacks on the kernel fail",
    operands: "",
    description: [
      "Runs an ordinary program under the built-in policy, then tries eight system calls that exploits use, each without and with callgate, and names the rule that forbids it. Every command is printed so that it can be repeated by hand.",
      "With --lxc (as root) it makes a real container, states two lines in its configuration, and shows that they hold, that the kernel has exactly them, and that they go again; docs/demo.md is the same plan.",
    ],
    options: [{ name: "lxc", help: "an LXC container, from nothing" }, help],
    examples: [
      { command: "callgate demo", comment: "takes a few seconds" },
      { command: "callgate demo --lxc", comment: "needs root, lxc and busybox-static" },
    ],
    stopAtOperand: false,
    usageStatus: 2,
    load: () => import("./commands/demo.ts"),
  },
];
