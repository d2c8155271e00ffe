/** The rows of `callgate lxc …` in the table of commands. */
import type { OptionSpec } from "../arguments.ts";
import type { Command, CommandGroup, CommandModule } from "../command.ts";
import type { LxcCommand } from "./command.ts";

export const lxcGroup: CommandGroup = {
  name: "lxc",
  summary: "system calls of LXC containers, by statements in their own configuration",
  description: [
    "Enforces the statements in a container's own configuration (syscall.deny = keyctl, syscall.baseline = 5.15, syscall.policy = container) at every start, on every ABI, with an unmodified LXC. docs/lxc.md has all statements, and what is guaranteed.",
  ],
};

const help: OptionSpec = { name: "help", short: "h", help: "show this help" };
const json: OptionSpec = { name: "json", help: "print facts for programs, as JSON" };
const place: readonly OptionSpec[] = [
  {
    name: "lxcpath",
    short: "P",
    value: "PATH",
    help: "the folder of containers, as in LXC's own tools",
    completes: "folder",
  },
  {
    name: "name",
    short: "n",
    value: "NAME",
    help: "the container, as in LXC's own tools",
    completes: "container",
  },
];
const ofNew: OptionSpec = {
  name: "default",
  help: "every new container: LXC's configuration for them (/etc/lxc/default.conf; a user's own in ~/.config/lxc)",
};
const all: OptionSpec = { name: "all", help: "every container" };

const module = async (load: () => Promise<LxcCommand>): Promise<CommandModule> => {
  const { moduleOf } = await import("./module.ts");
  return moduleOf(await load());
};

const containers = { completes: ["container"], stopAtOperand: false, usageStatus: 2 } as const;

export const lxcCommands: readonly Command[] = [
  {
    ...containers,
    name: "lxc enable",
    summary: "have a container's statements enforced from its next start on",
    operands: "NAME…",
    description: [
      "Adds what LXC needs to the end of the container's configuration, between two marks, and says which calls will be decided otherwise than before. The profile that was in force stays in force as a floor, unless syscall.inherit = none.",
      "Without a statement, and where the default lets calls through without a baseline, the running kernel's version is written as the baseline. A configuration with a mistake is left as it was, and the exit status is 1.",
      "With --default it is the configuration that new containers begin with. LXC has no name for a container's own folder there: the first lxc-start of a new container enables it, says so and has to be made again; callgate lxc start does both.",
    ],
    options: [all, ofNew, ...place, json, help],
    examples: [
      { command: "callgate lxc enable --default", comment: "containers that are created from now on" },
      { command: "callgate lxc enable web", comment: "what is stated, and all that is newer than today" },
    ],
    load: () => module(async () => (await import("./enable.ts")).enable),
  },
  {
    ...containers,
    name: "lxc disable",
    summary: "take that away again",
    operands: "NAME…",
    description: [
      "Gives the container's configuration back as it was before, byte for byte, and removes the files that callgate has made beside it (of a container that runs, when it is called again after that has stopped).",
    ],
    options: [all, ofNew, ...place, help],
    examples: [{ command: "callgate lxc disable web", comment: "from the next start on" }],
    load: () => module(async () => (await import("./enable.ts")).disable),
  },
  {
    ...containers,
    name: "lxc check",
    summary: "report every mistake in a container's statements",
    operands: "NAME…",
    description: [
      "Reads the container's configuration with all that it includes, and reports mistakes in statements, lines that undo callgate's, what LXC ignores in the profile below, and what plain lxc-attach is not kept from.",
    ],
    options: [{ name: "fix", help: "carry out the fixes that are offered" }, all, ...place, json, help],
    examples: [{ command: "callgate lxc check --all", comment: "every container" }],
    load: () => module(async () => (await import("./check.ts")).check),
  },
  {
    ...containers,
    name: "lxc explain",
    summary: "what is decided for a call in a container, and by which line",
    operands: "NAME CALL",
    completes: ["container", "call"],
    description: [
      "As explain does for a policy; and then what the profile says that stays in force below, as LXC really carries it out. Of a container that is not enabled it says what LXC does, which passes statements over. What LXC does otherwise than its profile is written stands before the answer, as a warning.",
      "With --json each object says of which it is: layer is statements or profile, or none where no filter is there.",
    ],
    options: [{ name: "abi", value: "NAME", help: "only this ABI", completes: "abi" }, ...place, json, help],
    examples: [
      { command: "callgate lxc explain web 'socket(AF_VSOCK)'", comment: "a call with an argument" },
    ],
    load: () => module(async () => (await import("./explain.ts")).explain),
  },
  {
    ...containers,
    name: "lxc start",
    summary: "start a container, and say here what keeps it from starting",
    operands: "NAME",
    description: [
      "Runs lxc-start. What stops the start stands on this terminal as well as in callgate.log in the container's folder; the exit status is then 125.",
    ],
    options: [...place, help],
    examples: [{ command: "callgate lxc start web", comment: "in the background, as lxc-start does" }],
    usageStatus: 125,
    load: () => module(async () => (await import("./start.ts")).start),
  },
  {
    ...containers,
    name: "lxc attach",
    summary: "run a command in a container, under both of its filters",
    operands: "NAME [--] [CMD…]",
    completes: ["container", "program"],
    description: [
      "As lxc-attach does, and with the container's own filter on the command as well. It is refused where the statements or the profile on disk are not those that the container was started with, and nothing else than callgate's own program can begin in the container in its place.",
      "The exit status is the command's own, or 125 when it was not started.",
    ],
    options: [...place, help],
    examples: [
      { command: "callgate lxc attach web", comment: "a shell" },
      { command: "callgate lxc attach web -- ps aux", comment: "a command" },
    ],
    stopAtOperand: false,
    usageStatus: 125,
    load: () => module(async () => (await import("./attach.ts")).attach),
  },
  {
    ...containers,
    name: "lxc verify",
    summary: "prove a running container's filters, as the kernel has them",
    operands: "NAME…",
    description: [
      "Reads the filters of the container's init and of every process in it back from the kernel, and proves the strictest answer of all of them equal to the statements and the profile below; or names each call that they answer otherwise.",
      "The exit status is 0 for proved, 1 for different, 2 where there is nothing to verify, and 3 for not verified: the kernel shows filters only to root.",
    ],
    options: [all, ...place, json, help],
    examples: [{ command: "callgate lxc verify --json web", comment: "for monitoring" }],
    load: () => module(async () => (await import("./verify.ts")).verify),
  },
  {
    ...containers,
    name: "lxc watch",
    summary: "say what containers are refused, as it happens",
    operands: "NAME…",
    description: [
      "Serves LXC's notify protocol for the named containers, and says of each kind of call that is refused which container and process made it, with its arguments, the rule with its line, and what would permit it; at the end how often. Ctrl-C ends it.",
      "A container is watched from a start on that finds its watcher; a start without one is an ordinary one. What is refused is answered as the policy says, before anything is told. When the watcher ends, a container that was started with it gets ENOSYS instead, until a watcher is there again; status shows it.",
      "Seen is what LXC's profile refuses with another errno than ENOSYS; status lists what is not seen.",
    ],
    options: [all, ...place, json, help],
    examples: [
      { command: "callgate lxc watch web", comment: "then, elsewhere: lxc-start web" },
      { command: "callgate lxc watch --all --json", comment: "an object a line" },
    ],
    load: () => module(async () => (await import("./watch.ts")).watch),
  },
  {
    ...containers,
    name: "lxc learn",
    summary: "watch a container from its start to its end, and write a policy of what it did",
    operands: "NAME",
    description: [
      "Starts the container under a watch filter, and writes a policy that permits what its init and everything below it did until Ctrl-C stops it, or it ends by itself. LXC's own calls come before that filter and are not among it. While it learns, the container may do whatever the profile below lets it do, and what its statements do not refuse.",
      "Then the container is started again under what was written, for as long as before and a minute at most, and what was missing is added. Where the file is a policy already, only what it does not permit is watched, and added. syscall.policy = FILE in the container's configuration enforces it. The exit status is 0 when the policy was written and nothing was missing, 1 when something was, or it ended otherwise.",
    ],
    options: [
      {
        name: "output",
        short: "o",
        value: "FILE",
        help: "the policy that is written or extended (default: learned.toml in the container's folder)",
        completes: "file",
      },
      { name: "force", help: "replace FILE instead of extending it" },
      { name: "once", help: "do not start the container again under the policy" },
      ...place,
      json,
      help,
    ],
    examples: [{ command: "callgate lxc learn web", comment: "use it as usual meanwhile, then Ctrl-C" }],
    load: () => module(async () => (await import("./learn.ts")).learn),
  },
  {
    ...containers,
    name: "lxc status",
    summary: "all containers: what they are under, and whether that is proved",
    operands: "[NAME…]",
    description: ["A line for each container; as root each one that runs is verified."],
    options: [all, ...place, json, help],
    examples: [{ command: "callgate lxc status", comment: "every container" }],
    load: () => module(async () => (await import("./status.ts")).status),
  },
  {
    ...containers,
    name: "lxc hook",
    summary: "run by LXC",
    operands: "HOOK FOLDER",
    completes: [],
    description: [
      "What `callgate lxc enable` writes into a configuration, for LXC to run before a start and after a copy.",
    ],
    options: [...place, help],
    examples: [{ command: "callgate lxc hook pre-start /var/lib/lxc/web", comment: "as LXC runs it" }],
    load: () => module(async () => (await import("./hook.ts")).hook),
  },
];
