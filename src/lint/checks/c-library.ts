/** Calls without which programs that use a C library do not work. */
import { listWords } from "../../diagnostics/index.ts";
import { isDenial } from "../../policy/action.ts";
import { type AbiName, twinsOf } from "../../syscalls/index.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { decisionsNamed, type Item, lets, possibleActions, type Subject } from "../subject.ts";

/** What goes wrong without each. */
const needed: Readonly<Record<string, string>> = {
  rt_sigreturn: "a program dies when a signal's handler returns",
  restart_syscall: "a sleep that was stopped and continued fails",
  exit: "threads cannot end",
  exit_group: "a program cannot end",
  futex: "threads, and locks that are taken, hang or abort",
  brk: "malloc has no heap at the start",
  mmap: "nothing can be loaded or allocated",
  munmap: "memory is never given back",
  mprotect: "nothing can be loaded: relocated memory cannot be made read-only",
  arch_prctl: "no program starts: thread-local storage cannot be set up",
  set_thread_area: "no program starts: thread-local storage cannot be set up",
  set_tls: "no program starts: thread-local storage cannot be set up",
};

/** Where only some ABIs need the call: elsewhere the thread pointer is a register that programs set themselves. */
const neededOn: Readonly<Record<string, readonly AbiName[]>> = {
  arch_prctl: ["x86_64", "x32"],
  set_thread_area: ["x86", "mips", "mipsel", "mips64", "mips64el", "mips64n32", "mipsel64n32"],
  set_tls: ["arm"],
};

/** What the C library tries at every start and can do without, unless the answer is death. */
const tried = ["set_robust_list", "rseq"];

export const cLibrary: Lint = {
  documentation: {
    id: "c-library-call",
    severity: "warning",
    what: "A call that every C library needs is refused: rt_sigreturn, restart_syscall, exit, exit_group, futex, brk, mmap, munmap, mprotect, or the one that sets up thread-local storage on the ABI (arch_prctl, set_thread_area, set_tls); or one that it tries at every start (set_robust_list, rseq) kills.",
    why: "Programs break in places that have nothing to do with what they do: when a signal arrives, when a thread ends, when they are stopped and continued. These calls give a program nothing that it could harm others with; `@default` has them all.",
    example: "allow read, write, exit_group",
    instead: "allow @default\nallow read, write",
  },
  check: (subject) => {
    // A policy that allows nothing is a part of others.
    const { policy, items } = subject;
    if (!lets(policy.syscalls.default) && !items.some((item) => lets(item.rule.action))) return [];
    const findings: Finding[] = [];
    const byDefault: string[] = [];
    const byItem = new Map<Item, string[]>();
    const add = (name: string): void => {
      const item = refuser(subject, name);
      if (item === undefined) byDefault.push(name);
      else byItem.set(item, [...(byItem.get(item) ?? []), name]);
    };
    for (const name of Object.keys(needed)) if (isClosed(subject, name, false)) add(name);
    for (const name of tried) if (isClosed(subject, name, true)) add(name);
    if (byDefault.length > 0) findings.push(describe(byDefault, "no rule allows"));
    for (const [item, names] of byItem)
      findings.push({ ...describe(names, "this refuses"), ...at(item.single.span) });
    return findings;
  },
};

/** On some ABI that has the call, none of its numbers passes whatever the arguments. */
function isClosed({ resolved }: Subject, name: string, onlyDeath: boolean): boolean {
  return resolved.abis.some((abi) => {
    if (neededOn[name]?.includes(abi.abi.name) === false) return false;
    const ways = twinsOf(name).flatMap((twin) => decisionsNamed(abi, twin));
    return (
      ways.length > 0 &&
      ways.every((one) =>
        possibleActions(one).every((action) => isDenial(action) && (!onlyDeath || action.kind !== "errno")),
      )
    );
  });
}

/** The policy's own selector that refuses the call. */
function refuser(subject: Subject, name: string): Item | undefined {
  const names = twinsOf(name);
  return subject.items.find(
    (item) =>
      item.isOwn &&
      isDenial(item.rule.action) &&
      subject.placementsOf(item).some((one) => one.at === 0 && names.includes(one.name ?? "")),
  );
}

function describe(names: readonly string[], what: string): Finding {
  return {
    message: `${what} ${listWords(names, "or")}, without which C libraries do not work`,
    label: "write allow @default",
    notes: names.map((name) => ({
      message: `${name}: ${needed[name] ?? "tried at every start, and the answer is death"}`,
    })),
  };
}
