// A build step that needs the compiler and nothing else: no network, no tracing, no writing over other processes.
// Debian packages: gcc.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, prepare } from "callgate";

const folder = mkdtempSync(join(tmpdir(), "build-"));
const source = join(folder, "hello.c");
writeFileSync(source, '#include <stdio.h>\nint main(void) { puts("hello from what was built"); }\n');

const building = prepare({
  version: 1,
  name: "build",
  extends: ["default"],
  syscalls: { rules: ["deny socket(domain != AF_UNIX)", "deny ptrace, process_vm_readv, process_vm_writev"] },
});
const build = await exec("gcc", ["-O2", "-Wall", "-o", join(folder, "hello"), source], { policy: building });
console.log("gcc:", build.exitCode === 0 ? "done" : build.stderr);
const run = await exec(join(folder, "hello"), [], { policy: building });
console.log(run.stdout.trim());
rmSync(folder, { recursive: true });
