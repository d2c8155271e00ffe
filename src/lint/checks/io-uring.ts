/** io_uring does what the filter refuses elsewhere. */
import { listWords } from "../../diagnostics/index.ts";
import type { Rule } from "../../policy/types.ts";
import { at, fixOf, ruleBefore } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { decisionsNamed, lets, possibleActions, type Subject } from "../subject.ts";

/** Calls whose work io_uring has operations for. Source: enum io_uring_op in linux/io_uring.h. */
const operations = [
  "socket",
  "connect",
  "bind",
  "listen",
  "accept",
  "accept4",
  "sendto",
  "sendmsg",
  "recvfrom",
  "recvmsg",
  "openat",
  "openat2",
  "unlinkat",
  "renameat2",
  "mkdirat",
  "linkat",
  "symlinkat",
  "setxattr",
  "ftruncate",
];

export const ioUring: Lint = {
  documentation: {
    id: "io-uring-open",
    severity: "warning",
    what: "io_uring_setup is open while calls that io_uring can make in their place are refused or under a condition.",
    why: "A program writes requests into a ring in shared memory, and the kernel carries them out without a system call: no filter sees them. Sockets, connections and files refused by the policy are open that way. errno(ENOSYS) looks like a kernel without io_uring; programs have a way to do without.",
    example: "deny socket(domain not in {AF_UNIX, AF_INET})\nallow @system-service",
    instead:
      "deny socket(domain not in {AF_UNIX, AF_INET})\nerrno(ENOSYS) io_uring_setup, io_uring_enter, io_uring_register\nallow @system-service",
  },
  check: (subject) => {
    const restricted = new Set<string>();
    for (const abi of subject.resolved.abis) {
      if (!decisionsNamed(abi, "io_uring_setup").some((one) => possibleActions(one).some(lets))) continue;
      for (const name of operations) {
        const ways = decisionsNamed(abi, name);
        if (ways.some((one) => !possibleActions(one).every(lets))) restricted.add(name);
      }
    }
    if (restricted.size === 0) return [];
    const names = [...restricted];
    const shown = names.length > 3 ? `${names.slice(0, 3).join(", ")} …` : listWords(names, "and");
    const opener = ruleThatOpens(subject);
    const finding: Finding = {
      message: `io_uring_setup is open: through it a program does what the policy keeps it from in ${shown}`,
      label: "write errno(ENOSYS) io_uring_setup before it",
      ...at(opener?.span),
      ...fixOf(
        "refuse io_uring",
        opener === undefined ? undefined : ruleBefore(opener, "errno(ENOSYS) io_uring_setup"),
      ),
    };
    return [finding];
  },
};

/** The policy's own rule that lets io_uring_setup through, if it is one. */
function ruleThatOpens(subject: Subject): Rule | undefined {
  return subject.items.find(
    (item) =>
      item.isOwn &&
      lets(item.rule.action) &&
      subject.placementsOf(item).some((placement) => placement.name === "io_uring_setup"),
  )?.rule;
}
