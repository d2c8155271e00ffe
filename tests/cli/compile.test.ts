// Debian packages: bubblewrap
/** `callgate compile`: filters that others load (bubblewrap, a program in C), listings, and how it ends. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import { decode } from "../../src/bpf/index.ts";
import { compile, loadPolicy } from "../../src/index.ts";
import { isRoot, ordinaryUser, runProgram, scratchFile, scratchPath } from "../kernel/native.ts";
import { callgate, callgatePath, shell } from "./callgate.ts";

const open = (name: string, rules: string, head = ""): string =>
  scratchFile(
    name,
    `version = 1\n${head}[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nrules = '''\n${rules}\n'''\n`,
  );
const noUname = open("no-uname.toml", "deny uname");
const sockets = open("sockets.toml", "deny socket(domain == AF_INET)\nerrno(EBUSY) setpriority(prio > 3)");

/** The output of `compile ARGS`, as bytes. */
function bytesOf(...args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(callgatePath, ["compile", ...args]);
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

describe("bpf", () => {
  test("is the library's filter, byte for byte", () => {
    const { policy } = loadPolicy("default");
    assert.ok(policy !== undefined);
    assert.deepEqual(bytesOf("default"), Buffer.from(compile(policy).bytes));
    assert.deepEqual(
      bytesOf("--target", "aarch64", "default"),
      Buffer.from(compile(policy, { target: "aarch64" }).bytes),
    );
  });

  test("--optimize is the library's, and each form is another filter for the same policy", () => {
    const { policy } = loadPolicy("default");
    assert.ok(policy !== undefined);
    for (const optimize of ["kernel", "size", "classic"] as const)
      assert.deepEqual(
        bytesOf("--optimize", optimize, "default"),
        Buffer.from(compile(policy, { optimize }).bytes),
      );
    assert.ok(bytesOf("--optimize=size", "default").length <= bytesOf("default").length);
    assert.match(
      callgate(["compile", "--optimize", "sise", "default"]).stderr,
      /no optimization "sise": did you mean size\?/,
    );
  });

  const users = isRoot ? [{ who: "root" }, { who: "nobody", uid: ordinaryUser.uid }] : [{ who: "this user" }];
  for (const { who, ...user } of users) {
    test(`bwrap --seccomp enforces it, for ${who}`, () => {
      const filter = scratchFile("filter.bpf", bytesOf(noUname));
      const run = (
        ...command: readonly string[]
      ): { readonly status: number | null; readonly stderr: string } =>
        runProgram("sh", {
          args: ["-c", `exec bwrap --dev-bind / / --seccomp 9 -- "$@" 9<${filter}`, "sh", ...command],
          cwd: "/",
          ...user,
        });
      const denied = run("uname");
      assert.match(denied.stderr, /cannot get system name: Operation not permitted/);
      assert.equal(denied.status, 1);
      assert.deepEqual(run("sh", "-c", "exit 7").status, 7);
    });
  }

  test("is not written to a terminal", () => {
    const line = `script -qec '"$callgate" compile default' /dev/null`;
    const { stdout, status } = shell(line, { env: { SHELL: "/bin/sh" } });
    assert.match(stdout, /a filter is not text: write it to a file \(-o FILE\) or a pipe/);
    assert.equal(status, 2);
  });
});

describe("c", () => {
  const load = `#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/filter.h>
extern const struct sock_fprog callgate_program;
int main(void) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &callgate_program)) return 9;
  printf("%d %d\\n", socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0) > 0);
  return 0;
}
`;

  for (const policy of [sockets, open("odd.toml", "deny uname", 'name = "odd */ #include /* name"\n')]) {
    test("compiles without a warning, and is the same filter when a program loads it", () => {
      const source = scratchFile("filter.c", bytesOf("--format", "c", policy));
      const object = scratchPath("filter.o");
      const strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c11"];
      const built = runProgram("gcc", { args: [...strict, "-c", source, "-o", object] });
      assert.deepEqual([built.status, built.stderr], [0, ""]);
      if (policy !== sockets) return;
      const program = scratchPath("load");
      const main = scratchFile("load.c", load);
      assert.equal(runProgram("gcc", { args: [main, object, "-o", program] }).status, 0);
      assert.deepEqual(runProgram(program).stdout, "-1 1\n");
    });
  }

  test("has the instructions of the bpf form", () => {
    const text = bytesOf("--format", "c", sockets).toString();
    const written = [...text.matchAll(/\{ (0x\w+), (\d+), (\d+), (0x\w+) \}/g)].map(([, ...fields]) => {
      const [code = 0, jt = 0, jf = 0, k = 0] = fields.map(Number);
      return { code, jt, jf, k };
    });
    assert.deepEqual(written, [...decode(bytesOf(sockets))]);
  });
});

describe("asm", () => {
  const listing = bytesOf("--format=asm", "--target", "x86_64", sockets).toString();

  test("on a machine with the other order of bytes", () => {
    const other = bytesOf("--format=asm", "--target", "s390x", sockets).toString();
    assert.match(other, /; setpriority: prio\n/);
    assert.doesNotMatch(other, /ignores/);
    const { policy } = loadPolicy(sockets, { target: "s390x" });
    assert.ok(policy !== undefined);
    const raw = bytesOf("--target", "s390x", sockets);
    assert.deepEqual(decode(raw, "big"), compile(policy, { target: "s390x" }).instructions);
  });

  test("names the policy, its ABIs, calls, arguments and errnos", () => {
    assert.match(
      listing,
      /^; policy .*sockets\.toml: \d+ instructions for x86_64; proved equal to the policy by callgate /,
    );
    assert.match(listing, /^ +0 {2}ld +\[4\] +; arch\n +1 {2}jeq +0xc000003e \? .*; x86_64, x32\n/m);
    assert.match(listing, /ld +\[16\] +; socket: domain\n +\d+ {2}jeq +0x2 \? .*; socket: domain AF_INET\n/);
    assert.match(listing, /; setpriority: prio\n/);
    assert.match(listing, /ret +ERRNO\(16\) +; EBUSY: setpriority\n/);
    assert.match(listing, /ret +ALLOW\n/);
    assert.match(listing, /; ENOSYS\n/);
  });

  test("says no more than it knows where several calls share an instruction", () => {
    const shared = bytesOf(
      "--format",
      "asm",
      open("shared.toml", "deny dup2(oldfd == 77), close(fd == 77)"),
    ).toString();
    assert.match(shared, /ld +\[16\] +; (args\[0\] low|\w+: (oldfd|fd))\n/);
    assert.doesNotMatch(shared, /undefined/);
  });

  test("a row is about the calls that can come to it: names stand behind exactly their numbers", () => {
    for (const [, index, k, name] of listing.matchAll(/^ *(\d+) {2}jeq +(0x\w+) \? .*; (\w+)$/gm)) {
      if (name === "x86_64") continue;
      assert.match(listing, new RegExp(`^ *${index}  jeq`, "m"));
      const own = JSON.parse(
        callgate(["explain", "--json", "--abi", "x86_64", sockets, name ?? ""]).stdout.split("\n")[0] ?? "",
      );
      assert.equal(own.nr, Number(k));
    }
  });
});

describe("-o", () => {
  test("writes a new file, or another content into an old one: whole, and nothing besides", () => {
    const out = scratchPath("out.bpf");
    const { status, stdout, stderr } = callgate(["compile", noUname, "-o", out]);
    assert.deepEqual([status, stdout], [0, ""]);
    assert.match(stderr, /out\.bpf: \d+ instructions, proved equal to the policy\n$/);
    assert.deepEqual(readFileSync(out), bytesOf(noUname));
    assert.equal(statSync(out).mode & 0o777, 0o666 & ~process.umask());
    const link = scratchPath("link.bpf");
    symlinkSync(out, link);
    assert.equal(callgate(["compile", sockets, "--output", link]).status, 0);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(readFileSync(out), bytesOf(sockets));
    assert.deepEqual(
      readdirSync(dirname(out)).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  test("- and /dev/stdout are standard output", () => {
    for (const out of ["-", "/dev/stdout"])
      assert.deepEqual(
        shell(`"$callgate" compile ${noUname} -o ${out} 2>/dev/null | cksum`).stdout,
        shell(`"$callgate" compile ${noUname} | cksum`).stdout,
      );
  });

  test("what cannot be written: 2, and why", () => {
    for (const [out, why] of [
      ["/no/such/folder/x", "there is no such folder"],
      ["/", "it is a directory"],
      ["/dev/full", "no space left on the device"],
    ] as const) {
      const { status, stderr } = callgate(["compile", noUname, "-o", out]);
      assert.equal(status, 2, out);
      assert.ok(stderr.includes(`cannot write ${JSON.stringify(out)}: ${why}\n`), stderr);
    }
  });
});

describe("what it says, and how it ends", () => {
  test("1 for a policy with mistakes, and no file", () => {
    const out = scratchPath("none.bpf");
    const { status, stdout, stderr } = callgate(["compile", open("m.toml", "deny unshaer"), "-o", out]);
    assert.deepEqual([status, stdout, existsSync(out)], [1, "", false]);
    assert.match(stderr, /did you mean unshare\?/);
  });

  test("2 for what cannot be read, or is no format, ABI or operand", () => {
    for (const [args, message] of [
      [["/no/such.toml"], /cannot read "\/no\/such\.toml"/],
      [["default", "--format", "bfp"], /no format "bfp": did you mean bpf\?/],
      [["default", "--target", "amd64"], /no ABI "amd64"/],
      [[], /the policy is missing/],
      [["default", "strict"], /one policy/],
    ] as const) {
      const { status, stdout, stderr } = callgate(["compile", ...args]);
      assert.deepEqual([status, stdout], [2, ""]);
      assert.match(stderr, message);
    }
  });

  test("what is not in a filter, and what its loader cannot do under it, is said", () => {
    const layered = open("layered.toml", "deny uname", "[files]\nread = ['/usr']\n");
    assert.match(
      callgate(["compile", "--format", "asm", layered]).stderr,
      /of \[files\] there is nothing in it/,
    );
    const still = open("still.toml", "deny execve, execveat");
    assert.match(callgate(["compile", "--format", "asm", still]).stderr, /the policy denies execve/);
    assert.equal(callgate(["compile", "--format", "asm", noUname]).stderr, "");
  });

  test("a policy from standard input; a reader that goes away", () => {
    assert.equal(
      shell(`"$callgate" compile --format asm - <${noUname} | tail -n +2`).stdout,
      shell(`"$callgate" compile --format asm ${noUname} | tail -n +2`).stdout,
    );
    assert.equal(shell('"$callgate" compile --format asm default | head -n 0').stderr, "");
  });
});
