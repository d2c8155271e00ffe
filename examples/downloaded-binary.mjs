// Run a program that was downloaded: it does its work; what only system software needs is refused.
// Debian packages: util-linux (the "download" is a copy of its unshare).
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, prepare } from "callgate";

const folder = mkdtempSync(join(tmpdir(), "download-"));
const program = join(folder, "tool");
copyFileSync("/usr/bin/unshare", program);
chmodSync(program, 0o755);

const plan = prepare("default");
const version = await exec(program, ["--version"], { policy: plan });
console.log("its version:", version.exitCode === 0 ? "printed" : "failed");
const attack = await exec(program, ["--user", "--map-root-user", "id"], { policy: plan });
console.log("root in a namespace of its own:", attack.stderr.split(": ").at(-1)?.trim());
rmSync(folder, { recursive: true });
