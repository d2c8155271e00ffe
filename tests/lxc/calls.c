/*
 * Makes calls in a container, each in a process of its own, natively or by int 0x80.
 * In, a line each: ABI number a0 a1 a2 a3 a4 a5 (hexadecimal); out, a line each: the result, or "signal N".
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct call { uint64_t nr, args[6]; };

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

static long by_int80(const struct call *call)
{
	long result;
	__asm__ volatile("push %%rbp\n push %%rbx\n mov %1, %%r12\n"
		"mov (%%r12), %%rax\n mov 8(%%r12), %%rbx\n mov 16(%%r12), %%rcx\n mov 24(%%r12), %%rdx\n"
		"mov 32(%%r12), %%rsi\n mov 40(%%r12), %%rdi\n mov 48(%%r12), %%rbp\n"
		"int $0x80\n pop %%rbx\n pop %%rbp"
		: "=a"(result) : "r"(call) : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory");
	return (int32_t)result;
}

int main(void)
{
	volatile long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char abi[16];
	struct call call;
	while (scanf("%15s %lx %lx %lx %lx %lx %lx %lx", abi, &call.nr, &call.args[0], &call.args[1], &call.args[2],
		     &call.args[3], &call.args[4], &call.args[5]) == 8) {
		*shared = 1234567;
		pid_t child = fork();
		if (child == 0) {
			struct rlimit none = { 0, 0 };
			setrlimit(RLIMIT_CORE, &none);
			*shared = strcmp(abi, "x86") == 0 ? by_int80(&call) : by_syscall(&call);
			/* A call may have made a process of its own, or taken the exit away. */
			__builtin_trap();
		}
		int status;
		waitpid(child, &status, 0);
		if (*shared == 1234567 && WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
		else printf("%ld\n", *shared);
		fflush(stdout);
	}
	return 0;
}
