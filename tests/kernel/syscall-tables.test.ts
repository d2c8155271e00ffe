/**
 * The generated tables against this machine: the numbers and constants of its installed headers, by gcc, and
 * what its kernel reads of arguments that are wider in the call than in the kernel.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  type AbiName,
  constantValue,
  isConstant,
  newestVersion,
  syscallsOf,
} from "../../src/syscalls/index.ts";

const headerFolder = "/usr/include/x86_64-linux-gnu/asm";
const scratch = mkdtempSync(join(tmpdir(), "callgate-tables-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const numberHeaders: readonly (readonly [AbiName, string])[] = [
  ["x86_64", "unistd_64.h"],
  ["x86", "unistd_32.h"],
  ["x32", "unistd_x32.h"],
];

for (const [abi, header] of numberHeaders) {
  test(`${abi}: every number of ${header} is ours`, () => {
    const ours = new Map(syscallsOf(abi).map((call) => [call.name, call.nr]));
    let checked = 0;
    const text = readFileSync(join(headerFolder, header), "utf8");
    for (const [, name = "", bit, digits] of text.matchAll(
      /^#define __NR_(\w+) (\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$/gm,
    )) {
      assert.equal(ours.get(name), Number(digits) + (bit === undefined ? 0 : 0x4000_0000), name);
      checked += 1;
    }
    assert.ok(checked > 300, `${checked} numbers`);
  });
}

/** The kernel's headers that stand on their own; what a C library adds is not looked at. */
const constantHeaders =
  "asm/errno asm/fcntl linux/fcntl asm/mman asm/signal asm/socket asm/ioctls asm/prctl linux/sched linux/net linux/in linux/tcp linux/netlink linux/prctl linux/ptrace linux/personality linux/seccomp linux/keyctl linux/futex linux/eventpoll linux/timerfd linux/inotify linux/fanotify linux/random linux/memfd linux/fs linux/mount linux/io_uring linux/capability linux/time linux/wait linux/ipc linux/sem linux/ioprio linux/mempolicy linux/kexec linux/reboot linux/quota linux/audit linux/landlock linux/openat2 linux/membarrier linux/userfaultfd linux/perf_event linux/pidfd linux/close_range linux/fadvise linux/if_tun linux/loop linux/stat linux/resource linux/bpf linux/hdreg linux/sockios linux/vt linux/kd";

/** Ends of ranges and sets of everything, which grow from release to release. */
const growing =
  /_(LAST|MAX|ALL|MASK|NR|COUNT|SUPPORTED_\w+|FLAGS|BITS)(_\w+)?$|^(F|CAP|PTRACE|AT|BPF|PERF)_LAST|^FAN_ALL_|^RWF_SUPPORTED|^UFFD_API_/;

const compilers: readonly (readonly [AbiName, string])[] = [
  ["x86_64", "-m64"],
  ["x86", "-m32"],
  ["x32", "-mx32"],
];

for (const [abi, flag] of compilers) {
  test(`${abi}: constants have the values of the installed headers`, () => {
    let checked = 0;
    const wrong: string[] = [];
    for (const header of constantHeaders.split(" ")) {
      const options = [
        flag,
        "-isystem",
        "/usr/include/x86_64-linux-gnu",
        "-ffreestanding",
        "-w",
        "-x",
        "c",
        "-",
      ];
      const input = `#include <${header}.h>\n`;
      const macros = spawnSync("gcc", ["-E", "-dM", ...options], { input, encoding: "utf8" });
      assert.equal(macros.status, 0, `${header}: ${macros.stderr}`);
      const names = [...macros.stdout.matchAll(/^#define (\w+) \S/gm)].map(([, name = ""]) => name);
      const known = names.filter(
        (name) => isConstant(name) && !growing.test(name) && constantValue(abi, name) !== undefined,
      );
      const lines = known.map((name) => {
        const value = constantValue(abi, name) ?? 0n;
        return `_Static_assert(((unsigned long long)(${name}) & ${value < 2n ** 32n ? "0xffffffffULL" : "~0ULL"}) == ${value < 2n ** 32n ? BigInt.asUintN(32, value) : value}ULL, "is not ${value}");`;
      });
      const source = `${input}${lines.join("\n")}\n`;
      const result = spawnSync("gcc", ["-fsyntax-only", "-fmax-errors=0", ...options], {
        input: source,
        encoding: "utf8",
      });
      const bad = new Set<number>();
      for (const [, line, message = ""] of result.stderr.matchAll(/^<stdin>:(\d+):\d+: error: (.*)$/gm)) {
        const name = known[Number(line) - 2] ?? header;
        bad.add(Number(line));
        if (message.startsWith("static assertion failed")) wrong.push(`${header} ${name} ${message}`);
      }
      checked += known.length - bad.size;
    }
    assert.deepEqual([...new Set(wrong)], []);
    assert.ok(checked > 2000, `${checked} constants`);
  });
}

/** Each line: what was tried, and `narrow` where the kernel ignored the high bits, `wide` where it saw them. */
const probe = String.raw`
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#define HIGH (1UL << 32)
static void say(const char *what, int narrow) { printf("%s %s\n", what, narrow ? "narrow" : "wide"); }
int main(int argc, char **argv) {
  const char *path = argv[1];
  struct stat st;
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  write(fd, "x", 1);
  syscall(SYS_chmod, path, 0x10000UL | 0640);
  stat(path, &st);
  say("chmod.mode16", (st.st_mode & 07777) == 0640);
  int n;
  say("ioctl.request", syscall(SYS_ioctl, fd, HIGH | FIONREAD, &n) == 0);
  char c;
  struct iovec iov = {&c, 1};
  say("readv.fd", syscall(SYS_readv, HIGH | fd, &iov, 1) >= 0);
  say("read.fd", syscall(SYS_read, HIGH | fd, &c, 1) >= 0);
  say("mmap.fd", syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, HIGH | fd, 0) != -1);
  say("mmap.length", syscall(SYS_mmap, 0, HIGH << 16 | 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != -1);
  say("socket.domain", syscall(SYS_socket, HIGH | 1, 1, 0) >= 0);
  long child = syscall(SYS_clone, HIGH | 17, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  int status = -1;
  say("clone.flags", child > 0 && waitpid(child, &status, 0) == child && status == 0);
  child = fork();
  if (child == 0) for (;;) pause();
  say("ptrace.pid", syscall(SYS_ptrace, 0x4206L, HIGH | child, 0, 0) == 0);
  say("kill.sig", syscall(SYS_kill, child, HIGH | 9) == 0);
  waitpid(child, &status, 0);
  say("unshare.flags", syscall(SYS_unshare, HIGH | 0x400) == 0);
  void *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  say("mprotect.prot", syscall(SYS_mprotect, page, 4096, HIGH | PROT_READ) == 0);
  say("mbind.mode", syscall(SYS_mbind, page, 4096, HIGH, 0, 0, 0) == 0 || errno == ENOSYS);
  say("personality.persona", syscall(SYS_personality, HIGH | 0xffffffffUL) >= 0);
  say("ptrace.request", syscall(SYS_ptrace, HIGH, 0, 0, 0) == 0);
  return 0;
}
`;

const widths: Readonly<Record<string, "narrow" | "wide">> = {
  "chmod.mode16": "narrow",
  "ioctl.request": "narrow",
  "readv.fd": "narrow",
  "read.fd": "narrow",
  "mmap.fd": "narrow",
  "mmap.length": "wide",
  "socket.domain": "narrow",
  "clone.flags": "narrow",
  "ptrace.pid": "narrow",
  "kill.sig": "narrow",
  "unshare.flags": "wide",
  "mprotect.prot": "wide",
  "mbind.mode": "narrow",
  "personality.persona": "narrow",
  "ptrace.request": "wide",
};

test("this kernel reads as many bits of an argument as the table says", () => {
  const program = join(scratch, "probe");
  execFileSync("gcc", ["-w", "-O1", "-x", "c", "-", "-o", program], { input: probe });
  const seen = execFileSync(program, [join(scratch, "file")], { encoding: "utf8" })
    .trim()
    .split("\n");
  assert.deepEqual(Object.fromEntries(seen.map((line) => line.split(" "))), widths);
  const calls = new Map(syscallsOf("x86_64").map((call) => [call.name, call]));
  for (const [what, width] of Object.entries(widths)) {
    const [name = "", argument = ""] = what.replace(/\d+$/, "").split(".");
    const arg = calls.get(name)?.args?.find((candidate) => candidate.name === argument);
    assert.equal(arg?.width === 64, width === "wide", what);
  }
});

/** 32-bit calls by int 0x80; buffers below 4 GiB. Prints what shows that a word was taken as the table says. */
const probe32 = String.raw`
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
static long call(long nr, long a, long b, long c, long d, long e, long f) {
  long result;
  asm volatile("push %%rbp; mov %7, %%rbp; int $0x80; pop %%rbp"
               : "=a"(result) : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "r"(f) : "memory", "r8", "r9", "r10", "r11");
  return (int)result;
}
int main(int argc, char **argv) {
  char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  struct stat st;
  write(fd, "abcdefgh", 8);
  call(180, fd, (long)low, 1, 2, 0, 0);
  printf("pread64.offset.low %c\n", *low);
  printf("pread64.offset.high %ld\n", call(180, fd, (long)low, 1, 0, 1, 0));
  call(140, fd, 0, 3, (long)low, SEEK_SET, 0);
  printf("_llseek.offset.low %lld\n", *(long long *)low);
  call(140, fd, 1, 3, (long)low, SEEK_SET, 0);
  printf("_llseek.offset.high %lld\n", *(long long *)low);
  call(194, fd, 5, 0, 0, 0, 0);
  fstat(fd, &st);
  printf("ftruncate64.length.low %ld\n", st.st_size);
  call(194, fd, 5, 1, 0, 0, 0);
  fstat(fd, &st);
  printf("ftruncate64.length.high %ld\n", st.st_size);
  call(194, fd, 0, 0, 0, 0, 0);
  call(324, fd, 0, 100, 0, 7, 0);
  fstat(fd, &st);
  printf("fallocate.low %ld\n", st.st_size);
  strcpy(low, argv[1]);
  call(15, (long)low, 0x10000 | 0640, 0, 0, 0, 0);
  stat(argv[1], &st);
  printf("chmod.mode %o\n", st.st_mode & 07777);
  call(182, (long)low, 0x10000 | 1234, 0x10000 | 1235, 0, 0, 0);
  stat(argv[1], &st);
  printf("chown.owner %d.%d\n", st.st_uid, st.st_gid);
  unsigned *words = (unsigned *)(low + 2048);
  unsigned mapping[6] = {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0};
  memcpy(words, mapping, sizeof mapping);
  long mapped = call(90, (long)words, 0, 0, 0, 0, 0);
  printf("mmap.memory %d\n", mapped < -4095 || mapped > 0);
  return 0;
}
`;

test("x86: words, widths and memory are as the table says, by int 0x80", (context) => {
  const program = join(scratch, "probe32");
  execFileSync("gcc", ["-w", "-O1", "-x", "c", "-", "-o", program], { input: probe32 });
  const result = spawnSync(program, [join(scratch, "file32")], { encoding: "utf8" });
  if (result.signal === "SIGSEGV") return context.skip("this kernel serves no 32-bit calls");
  const owner = process.getuid?.() === 0 ? "1234.1235" : `${process.getuid?.()}.${process.getgid?.()}`;
  assert.deepEqual(result.stdout.trim().split("\n"), [
    "pread64.offset.low c",
    "pread64.offset.high 0",
    "_llseek.offset.low 3",
    `_llseek.offset.high ${2 ** 32 + 3}`,
    "ftruncate64.length.low 5",
    `ftruncate64.length.high ${2 ** 32 + 5}`,
    "fallocate.low 107",
    "chmod.mode 640",
    `chown.owner ${owner}`,
    "mmap.memory 1",
  ]);
});

test("the tables are as new as they say", () => {
  assert.ok(syscallsOf("x86_64").some((call) => call.since?.major === newestVersion.major));
});
