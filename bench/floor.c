// What the kernel itself takes for a sandbox's namespaces and mounts, without any of its checks, processes, rules or filters:
//   floor FOLDER PROGRAM [KIND SOURCE TARGET]…
// starts a program in that folder, in seven new namespaces, with these mounts. Nobody should use it for anything else.
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long must(const char *what, long result) {
  if (result >= 0) return result;
  perror(what);
  exit(125);
}

static void write_file(const char *path, const char *text) {
  int file = (int)must(path, open(path, O_WRONLY));
  must(path, write(file, text, strlen(text)));
  close(file);
}

static void raise_loopback(void) {
  struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int one = (int)must("socket", socket(AF_INET, SOCK_DGRAM, 0));
  must("ioctl", ioctl(one, SIOCSIFFLAGS, &loopback));
  close(one);
}

// A file system, or a part of the caller's, with the attributes of an untrusted program's.
static void attach(int tree, const char *target, unsigned long attributes) {
  struct mount_attr attr = {.attr_set = attributes, .propagation = MS_PRIVATE};
  must(target, mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr));
  must(target, move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
  close(tree);
}

static int made(const char *type) {
  int context = (int)must(type, fsopen(type, FSOPEN_CLOEXEC));
  must(type, fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  int tree = (int)must(type, fsmount(context, FSMOUNT_CLOEXEC, 0));
  close(context);
  return tree;
}

static int part_of(const char *path) {
  return (int)must(path, open_tree(AT_FDCWD, path, AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

static void add(const char *kind, const char *source, const char *target) {
  const unsigned long common = MOUNT_ATTR_NOSUID;
  if (strcmp(kind, "directory") == 0) must(target, mkdir(target, (mode_t)strtol(source, NULL, 8)));
  if (strcmp(kind, "file") == 0) close((int)must(target, open(target, O_WRONLY | O_CREAT, 0666)));
  if (strcmp(kind, "link") == 0) must(target, symlink(source, target));
  if (strcmp(kind, "read-only") == 0) attach(part_of(source), target, common | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
  if (strcmp(kind, "device") == 0) attach(part_of(source), target, common);
  if (strcmp(kind, "tmpfs") == 0 || strcmp(kind, "devpts") == 0) attach(made(kind), target, common);
  if (strcmp(kind, "own") == 0) {
    must(target, mkdir(target, (mode_t)strtol(source, NULL, 8)));
    attach(part_of(target), target, common | MOUNT_ATTR_NODEV);
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || argc % 3 != 0) return 125;
  must("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET));
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 0 1");
  write_file("/proc/self/gid_map", "0 0 1");
  raise_loopback();
  struct mount_attr own = {.propagation = MS_PRIVATE};
  must("mount_setattr", mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &own, sizeof own));
  int root = made("tmpfs");
  must("move_mount", move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
  must("fchdir", fchdir(root));
  for (int at = 3; at < argc; at += 3) add(argv[at], argv[at + 1], argv[at + 2]);
  pid_t child = (pid_t)must("fork", fork());
  if (child == 0) {
    for (int at = 3; at < argc; at += 3)
      if (strcmp(argv[at], "proc") == 0) attach(made("proc"), argv[at + 2], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    must("pivot_root", syscall(SYS_pivot_root, ".", "."));
    must("umount2", umount2(".", MNT_DETACH));
    must("chdir", chdir(argv[1]));
    execl(argv[2], argv[2], (char *)NULL);
    must("execl", -1);
  }
  int status;
  must("wait", waitpid(child, &status, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
