/** `callgate demo --lxc`: a real container from nothing, step by step, with the commands that one would type. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counted } from "../../diagnostics/words.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";
import { print, printError, terminalOptions } from "../output.ts";
import { demoSteps } from "./demo-plan.ts";

export function lxcDemo(): number {
  const problem = missing();
  if (problem !== undefined) {
    printError(`callgate demo --lxc: ${problem}\n`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), "callgate-demo-"));
  try {
    chmodSync(folder, 0o755);
    return demonstrate(folder);
  } finally {
    spawnSync("lxc-stop", ["-P", folder, "-n", "demo", "-k"], { stdio: "ignore" });
    spawnSync("lxc-destroy", ["-P", folder, "-n", "demo"], { stdio: "ignore" });
    rmSync(folder, { recursive: true, force: true });
  }
}

function missing(): string | undefined {
  if (process.getuid?.() !== 0)
    return "reading filters back from the kernel needs root: sudo callgate demo --lxc";
  if (spawnSync("lxc-create", ["--version"]).error !== undefined)
    return "LXC is not installed: apt-get install lxc busybox-static";
  if (!["/bin/busybox", "/usr/bin/busybox"].some((file) => existsSync(file)))
    return "busybox is not installed: apt-get install busybox-static";
  if (!existsSync(nativeProgram("probe"))) return "the native programs are not there: npm run build:native";
  return undefined;
}

function demonstrate(folder: string): number {
  const bold = (text: string): string => (terminalOptions(1).colour ? `\u001b[1m${text}\u001b[0m` : text);
  const bin = join(packageRoot(), "bin");
  const probe = nativeProgram("probe");
  const env = { ...process.env, DIR: folder, PROBE: probe, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
  print(`$ DIR=${folder}\n$ PROBE=${probe}\n`);
  let failures = 0;
  demoSteps.forEach(({ title, commands }, index) => {
    print(`\n${bold(`${index + 1}. ${title}`)}\n`);
    for (const { command, shows } of commands) {
      print(`$ ${command}\n`);
      const { status, stdout } = spawnSync("/bin/sh", ["-c", `exec 2>&1\n${command}`], {
        env,
        encoding: "utf8",
        input: "",
        timeout: 60_000,
      });
      const output = stdout ?? "";
      print(output);
      // A probe that is refused ends with 1: what counts there is what it says.
      const went = shows === undefined ? status === 0 : shows.test(output);
      if (!went) {
        failures += 1;
        print(`${bold("this went otherwise than it should")} (status ${status})\n`);
      }
    }
  });
  print(
    failures === 0
      ? `\n${bold("Every step went as it should.")} The container is gone again. docs/lxc.md says more.\n`
      : `\n${bold(`${counted(failures, "step")} went otherwise than it should:`)} please report this.\n`,
  );
  return failures === 0 ? 0 : 1;
}
