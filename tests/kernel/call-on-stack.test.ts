// The one piece of assembler that starts a process on a stack of its own: on this machine with the launcher's own flags, and
// for aarch64 in qemu, which knows no process that shares memory, so that there it is a copy.
// Debian packages: gcc, gcc-aarch64-linux-gnu, qemu-user-static
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root, runProgram, scratchFile, scratchPath } from "./native.ts";

const source = `#include "${join(root, "native", "system.h")}"
static uint8_t stack[8192] __attribute__((aligned(16)));
_Noreturn static void run(void) {
  uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0), end = (uint64_t)(uintptr_t)(stack + sizeof stack);
  leave(here > end - sizeof stack && here <= end ? 7 : 8);
}
__attribute__((used)) _Noreturn void start(const uint64_t *given) {
  (void)given;
  int status = 0;
  long child = CALL_ON_STACK(clone, FLAGS | SIGCHLD, stack + sizeof stack, run);
  long ended = CALL(wait4, child, &status, 0, 0);
  leave(child > 0 && ended == child ? status >> 8 & 0xff : 1);
}
`;

function compile(compiler: string, flags: string): string {
  const out = scratchPath("on-stack");
  const options =
    "-std=c11 -Os -ffreestanding -fPIE -static-pie -nostdlib -nostartfiles -fno-stack-protector -fno-builtin -w";
  const args = [...options.split(" "), `-DFLAGS=${flags}`, "-o", out, scratchFile("on-stack.c", source)];
  const { status, stderr } = spawnSync(compiler, args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return out;
}

test("a process that shares memory and descriptors runs on its own stack, and its parent goes on", () => {
  assert.equal(runProgram(compile("gcc", "(CLONE_VM | CLONE_FILES)")).status, 7);
});

const [cross, emulator] = ["/usr/bin/aarch64-linux-gnu-gcc", "/usr/bin/qemu-aarch64-static"] as const;
test("the same for aarch64", {
  skip: existsSync(cross) && existsSync(emulator) ? false : "needs a cross compiler and qemu-user-static",
}, () => {
  assert.equal(runProgram(emulator, { args: [compile(cross, "0")] }).status, 7);
});
