/*
 * Loads seccomp filters into the kernel and makes calls under them; tests/kernel/bpf.test.ts compares what happens
 * with check() and emulate().
 *
 * In, on stdin, once for each filter (native byte order):
 *     u32 instructions, u32 calls; struct sock_filter[instructions]; struct call[calls]
 * Out, on stdout: first the address behind the system call instruction (u64) and the architecture (u64); then,
 * once for each filter and call:
 *     i64 how, i64 value;  how = REFUSED: loading failed with errno value
 *                          how = RETURNED: the call returned value
 *                          how = KILLED: the call ended in signal value
 * A filter without calls gives one record: REFUSED, or LOADED.
 *
 * Every call is made in a child of its own, which must not need any other call once the filter is on: what it has
 * to tell goes through shared memory, and it ends itself by an illegal instruction.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 1, RETURNED = 2, KILLED = 3, LOADED = 4 };

struct call { uint64_t nr; uint64_t args[6]; };
struct record { int64_t how, value; };

long raw_call(const struct call *call);
extern const char after_raw_call[];

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
__asm__(".globl raw_call, after_raw_call\n"
	"raw_call: push %rbx\n mov %rdi, %rbx\n"
	"mov (%rbx), %rax\n mov 8(%rbx), %rdi\n mov 16(%rbx), %rsi\n mov 24(%rbx), %rdx\n"
	"mov 32(%rbx), %r10\n mov 40(%rbx), %r8\n mov 48(%rbx), %r9\n"
	"syscall\n"
	"after_raw_call: pop %rbx\n ret\n");
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
__asm__(".globl raw_call, after_raw_call\n"
	"raw_call: mov x9, x0\n"
	"ldp x8, x0, [x9]\n ldp x1, x2, [x9, #16]\n ldp x3, x4, [x9, #32]\n ldr x5, [x9, #48]\n"
	"svc #0\n"
	"after_raw_call: ret\n");
#else
#error "no raw_call for this architecture"
#endif

static int get(void *to, size_t size, size_t count) { return fread(to, size, count, stdin) == count; }

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct record try(struct sock_fprog *program, const struct call *call, volatile struct record *shared)
{
	shared->how = 0;
	shared->value = 0;
	pid_t child = fork();
	if (child < 0) fail("fork");
	if (child == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) != 0) {
			shared->value = errno;
			shared->how = REFUSED;
			_exit(0);
		}
		shared->how = LOADED;
		if (call != NULL) {
			shared->value = raw_call(call);
			shared->how = RETURNED;
		}
		__builtin_trap();
	}
	int status;
	if (waitpid(child, &status, 0) != child) fail("waitpid");
	struct record seen = { shared->how, shared->value };
	if (seen.how == 0) {
		fprintf(stderr, "the child ended before it could load: status %d\n", status);
		exit(1);
	}
	if (call != NULL && seen.how == LOADED) seen = (struct record){ KILLED, WTERMSIG(status) };
	return seen;
}

int main(void)
{
	volatile struct record *shared =
		mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) fail("mmap");
	uint64_t here[2] = { (uintptr_t)after_raw_call, ARCH };
	fwrite(here, sizeof here, 1, stdout);

	uint32_t counts[2];
	while (get(counts, sizeof counts, 1)) {
		struct sock_filter *filter = calloc(counts[0] + 1, sizeof *filter);
		struct call *calls = calloc(counts[1] + 1, sizeof *calls);
		if (filter == NULL || calls == NULL) fail("calloc");
		if (!get(filter, sizeof *filter, counts[0]) || !get(calls, sizeof *calls, counts[1])) fail("stdin");
		struct sock_fprog program = { (unsigned short)counts[0], filter };
		uint32_t at = 0;
		do {
			struct record seen = try(&program, counts[1] == 0 ? NULL : &calls[at], shared);
			fwrite(&seen, sizeof seen, 1, stdout);
		} while (++at < counts[1]);
		free(filter);
		free(calls);
	}
	return 0;
}
