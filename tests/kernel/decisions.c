/*
 * Makes calls under filters, natively and by int 0x80; tests/kernel/decisions.test.ts compares what happens with
 * what the policies say. As tests/bpf/run-filters.c, but each call is made by a thread of its own, so that the death
 * of a thread can be told from the death of the process, and a SIGSYS that is caught from both.
 *
 * In, on stdin, once for each filter (little endian):
 *     u32 instructions, u32 calls; struct sock_filter[instructions]; struct call[calls]
 * Out, on stdout, once for each call: i64 how, i64 value
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The call returned value; was answered by SIGSYS with value as its data; ended the thread; the process (by a signal). */
enum { RETURNED = 1, TRAPPED = 2, THREAD = 3, PROCESS = 4 };

struct call { uint64_t by_int80, nr, args[6]; };
struct record { int64_t how, value; };

static volatile struct record *shared;
static struct sock_fprog program;
static const struct call *current;

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static long by_syscall(const struct call *call)
{
	long result;
	register uint64_t r10 __asm__("r10") = call->args[3];
	register uint64_t r8 __asm__("r8") = call->args[4];
	register uint64_t r9 __asm__("r9") = call->args[5];
	__asm__ volatile("syscall"
		: "=a"(result)
		: "a"(call->nr), "D"(call->args[0]), "S"(call->args[1]), "d"(call->args[2]), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
}

/* The upper halves of the registers are loaded too: the kernel must not look at them. */
static long by_int80(const struct call *call)
{
	long result;
	__asm__ volatile("push %%rbp\n push %%rbx\n mov %1, %%r12\n"
		"mov 8(%%r12), %%rax\n mov 16(%%r12), %%rbx\n mov 24(%%r12), %%rcx\n mov 32(%%r12), %%rdx\n"
		"mov 40(%%r12), %%rsi\n mov 48(%%r12), %%rdi\n mov 56(%%r12), %%rbp\n"
		"int $0x80\n pop %%rbx\n pop %%rbp"
		: "=a"(result) : "r"(call) : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory");
	return (int32_t)result;
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	shared->value = info->si_errno;
	shared->how = TRAPPED;
	__builtin_trap();
}

/* From the filter on there is no call but the one that is tried; an illegal instruction is the way out. */
static void *make_call(void *unused)
{
	(void)unused;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) fail("seccomp");
	long result = current->by_int80 ? by_int80(current) : by_syscall(current);
	shared->value = result;
	shared->how = RETURNED;
	__builtin_trap();
}

static struct record try(const struct call *call)
{
	shared->how = 0;
	current = call;
	pid_t child = fork();
	if (child < 0) fail("fork");
	if (child == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
		sigaction(SIGSYS, &action, NULL);
		pthread_t thread;
		if (pthread_create(&thread, NULL, make_call, NULL) != 0) fail("pthread_create");
		pthread_join(thread, NULL);
		shared->how = THREAD;
		_exit(0);
	}
	int status;
	if (waitpid(child, &status, 0) != child) fail("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0) _exit(1);
	if (shared->how == 0) return (struct record){ PROCESS, WTERMSIG(status) };
	return (struct record){ shared->how, shared->how == THREAD ? 0 : shared->value };
}

static int get(void *to, size_t size, size_t count) { return fread(to, size, count, stdin) == count; }

int main(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) fail("mmap");
	uint32_t counts[2];
	while (get(counts, sizeof counts, 1)) {
		struct sock_filter *filter = calloc(counts[0] + 1, sizeof *filter);
		struct call *calls = calloc(counts[1] + 1, sizeof *calls);
		if (filter == NULL || calls == NULL) fail("calloc");
		if (!get(filter, sizeof *filter, counts[0]) || !get(calls, sizeof *calls, counts[1])) fail("stdin");
		program = (struct sock_fprog){ (unsigned short)counts[0], filter };
		for (uint32_t at = 0; at < counts[1]; at++) {
			struct record seen = try(&calls[at]);
			fwrite(&seen, sizeof seen, 1, stdout);
		}
		free(filter);
		free(calls);
	}
	return 0;
}
