/**
 * Where a group of ours has a call that systemd's of the same name (version 252) has not. There is no call the other way
 * round, but those of ABIs that the tables do not have. A test compares every member with `systemd-analyze syscall-filter`.
 */
export interface GroupDifference {
  readonly group: string;
  readonly call: string;
  /** Why it is in the group all the same. */
  readonly why: string;
}

const differences: readonly (readonly [group: string, calls: string, why: string])[] = [
  [
    "@default",
    "futex_requeue futex_wait futex_wake",
    "Linux 6.7 gave the operations of futex numbers of their own; futex itself is there",
  ],
  [
    "@default",
    "map_shadow_stack",
    "Linux 6.6: C libraries map a shadow stack for each thread where it is on",
  ],
  [
    "@default",
    "rseq_slice_yield",
    "Linux 7.0: a thread gives back the time that rseq lent it, like sched_yield",
  ],
  ["@default", "uprobe", "Linux 6.18: what the kernel's own probe in a program calls, like uretprobe"],
  [
    "@file-system",
    "getxattrat setxattrat listxattrat removexattrat",
    "Linux 6.13: the calls on extended attributes, relative to a descriptor; those are there",
  ],
  [
    "@file-system",
    "file_getattr file_setattr",
    "Linux 6.17: what ioctl's FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR do, by path",
  ],
  ["@mount", "open_tree_attr", "Linux 6.15: open_tree and mount_setattr in one; both are there"],
  ["@sync", "arm_sync_file_range", "the name that arm's headers have for sync_file_range2, which is there"],
  ["@system-service", "arm_sync_file_range", "the name that arm's headers have for sync_file_range2"],
  [
    "@system-service",
    "arm_fadvise64_64",
    "the name that arm's headers have for fadvise64_64, which is there",
  ],
  ["@system-service", "cachestat", "Linux 6.5: how much of an open file is cached, like mincore"],
  ["@system-service", "mseal", "Linux 6.10: a process makes mappings of its own unchangeable"],
  ["@system-service", "statmount listmount", "Linux 6.8: what /proc/self/mountinfo says, without reading it"],
  ["@system-service", "lsm_get_self_attr lsm_list_modules", "Linux 6.8: what /proc/self/attr says"],
  [
    "@sandbox",
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    "a group of later versions of systemd, which the one that is compared with has not",
  ],
];

/** One for each group and call. */
export const groupDifferences: readonly GroupDifference[] = differences.flatMap(([group, calls, why]) =>
  calls.split(" ").map((call) => ({ group, call, why })),
);
