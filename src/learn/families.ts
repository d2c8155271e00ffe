/**
 * Calls that do the same work, of which one version of a C library takes this and the next that: a policy that was
 * learned with one has to work with the other. None of them can do more than what was seen, given the same condition.
 */
export interface Family {
  readonly calls: readonly string[];
  /** Whether a condition of one can be that of the others: the argument has the same name and meaning. */
  readonly keepsCondition: boolean;
}

const plain = (names: string): Family => ({ calls: names.split(" "), keepsCondition: false });

export const families: readonly Family[] = [
  { calls: ["open", "openat"], keepsCondition: true },
  plain("accept accept4"),
  plain("epoll_create epoll_create1"),
  plain("eventfd eventfd2"),
  plain("signalfd signalfd4"),
  plain("inotify_init inotify_init1"),
  plain("mkdir mkdirat"),
  plain("rmdir unlink unlinkat"),
  plain("rename renameat renameat2"),
  plain("link linkat"),
  plain("symlink symlinkat"),
  plain("chmod fchmodat fchmodat2"),
  plain("chown lchown fchownat"),
  plain("utime utimes futimesat utimensat"),
  plain("preadv preadv2"),
  plain("pwritev pwritev2"),
];

/**
 * What other calls are needed where a call was seen, with the condition that they get.
 */
export const successors: Readonly<Record<string, string>> = {
  getrlimit: "prlimit64(new_limit == 0)",
};
