/**
 * Which calls a policy may ask about. A call that somebody has agreed to goes on in the kernel, which reads what its pointers
 * lead to only then; the program can have changed it while somebody was thinking. So a call may be asked about where its
 * scalar arguments, which nobody can change any more, are all that an answer rests on.
 */
import { listWords, type Span } from "../diagnostics/index.ts";
import type { AbiName, Syscall } from "../syscalls/index.ts";
import type { Problem } from "./resolve-value.ts";
import type { Selector } from "./types.ts";

/**
 * Pointers that decide nothing: the kernel writes its results there, or takes data from there that an answer is not about
 * (what a socket's option is set to: the question is which option). All others do: paths, addresses, structures of flags.
 */
const harmlessPointers: Readonly<Record<string, readonly string[]>> = {
  accept: ["addr", "addrlen"],
  accept4: ["addr", "addrlen"],
  clone: ["parent_tid", "child_tid"],
  copy_file_range: ["off_in", "off_out"],
  getpeername: ["addr", "addrlen"],
  getrandom: ["buf"],
  getsockname: ["addr", "addrlen"],
  getsockopt: ["optval", "optlen"],
  io_setup: ["ctx_idp"],
  memfd_create: ["name"], // a label: nothing is found by it
  pipe: ["pipefd"],
  pipe2: ["pipefd"],
  process_vm_readv: ["local_iov", "remote_iov"], // all of a process's memory, or none
  process_vm_writev: ["local_iov", "remote_iov"],
  recvfrom: ["buf", "src_addr", "addrlen"],
  sched_getaffinity: ["mask"],
  sched_getparam: ["param"],
  seccomp: ["args"], // a filter more only takes away
  sendfile: ["offset"],
  sendfile64: ["offset"],
  setsockopt: ["optval"],
  shmat: ["shmaddr"],
  socketpair: ["sv"],
  splice: ["off_in", "off_out"],
  sysinfo: ["info"],
  syslog: ["bufp"],
  uname: ["buf"],
  wait4: ["wstatus", "rusage"],
  waitid: ["infop", "rusage"],
};

/** Calls without a pointer that nobody can answer for: the kernel makes them itself, or reads a frame from the stack. */
const kernelsOwn: readonly string[] = [
  "exit",
  "exit_group",
  "restart_syscall",
  "rt_sigreturn",
  "sigreturn",
  "uprobe",
  "uretprobe",
];

/** Why a call may not be asked about, and what to write instead. */
export interface Unaskable {
  readonly why: string;
  readonly advice: string;
}

/**
 * Undefined where it may.
 * @param multiplexer for a call that is made through one
 */
export function whyNotAsked(
  { name, args }: Pick<Syscall, "name" | "args">,
  abi: AbiName,
  multiplexer: string | undefined,
): Unaskable | undefined {
  const decided = "allow it or refuse it";
  const meanwhile = "which the program can change while somebody is asked";
  const other = `name the ABI that is meant: x86_64:${name}`;
  if (multiplexer !== undefined)
    return {
      why: `on ${abi} it is made through ${multiplexer} too, with its arguments in memory, ${meanwhile}`,
      advice: other,
    };
  if (kernelsOwn.includes(name)) return { why: "no program goes on without it", advice: decided };
  if (args === undefined) return { why: "what it takes is not known", advice: decided };
  if (args.some(({ place }) => place.kind === "memory"))
    return { why: `on ${abi} its arguments lie in memory, ${meanwhile}`, advice: other };
  const harmless = Object.hasOwn(harmlessPointers, name) ? harmlessPointers[name] : undefined;
  const pointers = args.filter((one) => one.kind === "pointer" && harmless?.includes(one.name) !== true);
  if (pointers.length === 0) return undefined;
  const names = listWords(
    pointers.map((one) => one.name),
    "and",
  );
  const verb = pointers.length === 1 ? "points" : "point";
  return {
    why: `what ${names} ${verb} to is read after the answer, and can be changed before`,
    advice: decided,
  };
}

/** The problem of a rule that asks about such a call. Of a group's members one is enough. */
export function unaskable({ target }: Selector, name: string, { why, advice }: Unaskable): Problem {
  const id = "unaskable-call";
  if (target.kind === "name" || target.kind === "number")
    return { id, message: `${name} cannot be asked about: ${why}`, label: advice, always: true };
  return {
    id,
    message: `not all calls of ${target.kind === "group" ? target.name : "*"} can be asked about: an answer rests on scalar arguments alone`,
    label: "name the calls that are meant",
    always: true,
  };
}

/** The word `ask` of a rule that asks, for a caret and a remedy; undefined where its text does not begin so (JSON). */
export function askWord(rule: Span | undefined): Span | undefined {
  const word = rule === undefined ? undefined : { ...rule, end: rule.start + "ask".length };
  return word?.source.text.slice(word.start, word.end) === "ask" ? word : undefined;
}
