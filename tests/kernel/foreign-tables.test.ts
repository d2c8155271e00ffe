// Debian packages: gcc, libc6-dev, libseccomp-dev, linux-libc-dev, linux-libc-dev-armhf-cross, linux-libc-dev-mips-cross, linux-libc-dev-mips64-cross, linux-libc-dev-ppc64el-cross, linux-libc-dev-riscv64-cross, linux-libc-dev-s390x-cross
/**
 * The tables of the ABIs that this machine does not run, against sources that the generator does not read: the
 * headers of an older kernel (Debian 12's), preprocessed here, and libseccomp's own tables.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  type AbiName,
  abiByName,
  abis,
  constantValue,
  isConstant,
  syscallByName,
  syscallByNumber,
  syscallsOf,
  twinsOf,
} from "../../src/syscalls/index.ts";

const scratch = mkdtempSync(join(tmpdir(), "callgate-foreign-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

interface Headers {
  readonly folder: string;
  /** What the ABI's own compiler defines, as far as the kernel's headers ask. */
  readonly defines: string;
  /** What to include for the numbers; by default asm/unistd.h. */
  readonly numbers?: string;
}

/** What arch/loongarch/include/uapi/asm/unistd.h says: Debian 12 has no headers of loongarch64's own. */
const loongarchNumbers =
  "#define __ARCH_WANT_SYS_CLONE\n#define __ARCH_WANT_SYS_CLONE3\n#define __BITS_PER_LONG 64\n#include <asm-generic/unistd.h>\n";

const headers: Readonly<Partial<Record<AbiName, Headers>>> = {
  arm: { folder: "/usr/arm-linux-gnueabihf/include", defines: "__arm__ __ARM_EABI__ __ARMEL__" },
  riscv64: {
    folder: "/usr/riscv64-linux-gnu/include",
    defines: "__riscv __riscv_xlen=64 __LP64__ __SIZEOF_POINTER__=8",
  },
  ppc64le: {
    folder: "/usr/powerpc64le-linux-gnu/include",
    defines: "__powerpc__ __powerpc64__ __LITTLE_ENDIAN__",
  },
  s390x: { folder: "/usr/s390x-linux-gnu/include", defines: "__s390__ __s390x__" },
  loongarch64: {
    folder: "/usr/include -isystem /usr/include/x86_64-linux-gnu",
    defines: "__LP64__ __x86_64__",
    numbers: loongarchNumbers,
  },
  mips64: {
    folder: "/usr/mips64-linux-gnuabi64/include",
    defines: "__mips__ __mips64 _MIPS_SIM=3 __MIPSEB__",
  },
  mips64n32: {
    folder: "/usr/mips64-linux-gnuabi64/include",
    defines: "__mips__ __mips64 _MIPS_SIM=2 __MIPSEB__",
  },
  mips: { folder: "/usr/mips-linux-gnu/include", defines: "__mips__ _MIPS_SIM=1 __MIPSEB__" },
};

function compilerOptions({ folder, defines }: Headers): readonly string[] {
  const own = execFileSync("gcc", ["-print-file-name=include"], { encoding: "utf8" }).trim();
  const isystem = [own, ...folder.split(" -isystem ")].flatMap((path) => ["-isystem", path]);
  return ["-undef", "-nostdinc", ...isystem, ...defines.split(" ").map((one) => `-D${one}`), "-w", "-x", "c"];
}

function preprocess(options: readonly string[], input: string, ...more: readonly string[]): string {
  const result = spawnSync("gcc", ["-E", ...more, ...options, "-"], { input, encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

/** Names that a header defines. */
function macrosOf(options: readonly string[], input: string): readonly string[] {
  return [...preprocess(options, input, "-dM").matchAll(/^#define (\w+) \S/gm)].map(([, name = ""]) => name);
}

/** `(4000 + 1)`, `((0x0f0000) + 2)`, `57`. */
function sum(text: string): number {
  assert.match(text, /^[\s()+0-9a-fx]+$/);
  return text
    .replaceAll(/[()\s]/g, "")
    .split("+")
    .reduce((total, part) => total + Number(part), 0);
}

const pseudoNames =
  /^(BASE|SYSCALL_BASE|SYSCALL_MASK|OABI_SYSCALL_BASE|Linux\w*|\d+_Linux\w*|N\d+_Linux\w*|O32_Linux\w*|64_Linux\w*|syscalls|syscall_\w+|arch_specific_syscall|sync_file_range2)$/;

for (const { name: abi } of abis) {
  const own = headers[abi];
  if (own === undefined) continue;
  test(`${abi}: every number of an older kernel's headers is ours`, (context) => {
    const options = compilerOptions(own);
    const include = own.numbers ?? "#include <asm/unistd.h>\n";
    const macros = macrosOf(options, include).filter((name) => /^__(ARM_)?NR_/.test(name));
    const names = macros.filter((name) => !pseudoNames.test(name.replace(/^__(ARM_)?NR_/, "")));
    const values = preprocess(
      options,
      `${include}${names.map((name) => `callgate:${name.slice(2)}:${name};\n`).join("")}`,
      "-P",
    );
    let checked = 0;
    for (const [, macro = "", text = ""] of values.matchAll(/callgate:(\w+):([^;]+);/g)) {
      const name = macro.replace(/^(ARM_)?NR_/, "").replace(/^3264_/, "");
      const call = syscallByName(abi, name);
      assert.equal(call?.nr, sum(text), `${abi} ${name}`);
      checked += 1;
    }
    assert.equal(checked, names.length);
    context.diagnostic(`${checked} numbers`);
    assert.ok(checked > 290, `${checked} numbers`);
  });
}

/** libseccomp's names and numbers of an architecture: each name given, and what has each number. */
const resolver = String.raw`
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  unsigned arch = strtoul(argv[1], 0, 0);
  unsigned base = strtoul(argv[2], 0, 0);
  char name[128];
  while (scanf("%127s", name) == 1) printf("name %s %d\n", name, seccomp_syscall_resolve_name_arch(arch, name));
  for (unsigned nr = base; nr < base + 512; nr++) {
    char *found = seccomp_syscall_resolve_num_arch(arch, (int)nr);
    if (found) printf("number %s %u\n", found, nr);
    free(found);
  }
  return 0;
}
`;

/** libseccomp's own value for x32; the others are those of the kernel. */
const scmpArchX32 = 0x4000_003e;

/** ABIs that Debian 12's libseccomp does not have. */
const unknownToLibseccomp: readonly AbiName[] = ["loongarch64"];

test("numbers are those of libseccomp, and it has none that we lack", (context) => {
  const program = join(scratch, "resolver");
  execFileSync("gcc", ["-w", "-x", "c", "-", "-o", program, "-lseccomp"], { input: resolver });
  let checked = 0;
  for (const { name: abi, arch, numberBase } of abis) {
    if (unknownToLibseccomp.includes(abi)) continue;
    const scmpArch = abi === "x32" ? scmpArchX32 : arch;
    const input = syscallsOf(abi)
      .map((call) => call.name)
      .join("\n");
    const output = execFileSync(program, [`${scmpArch}`, `${numberBase}`], { input, encoding: "utf8" });
    let here = 0;
    for (const [, what, name = "", digits] of output.matchAll(/^(name|number) (\S+) (-?\d+)$/gm)) {
      const nr = Number(digits);
      // Negative: a call that this libseccomp does not know on this architecture.
      if (nr < 0) continue;
      here += 1;
      if (what === "name") assert.equal(syscallByName(abi, name)?.nr, nr, `${abi} ${name}`);
      else if (syscallByName(abi, name)?.nr !== nr) {
        const ours = syscallByNumber(abi, nr)?.name ?? "none";
        assert.ok(
          twinsOf(ours).includes(name) || libseccompNames.get(ours) === name,
          `${abi} ${nr}: ${name}, ${ours}`,
        );
      }
    }
    assert.ok(here > 600, `${abi}: ${here} comparisons`);
    checked += here;
  }
  context.diagnostic(`${checked} comparisons`);
  assert.ok(checked > 10_000, `${checked} comparisons`);
});

/** Where libseccomp's name for a number is another one than the kernel's headers have. */
const libseccompNames: ReadonlyMap<string, string> = new Map([]);

const constantHeaders =
  "asm/errno asm/fcntl linux/fcntl asm/mman asm/signal asm/socket asm/ioctls asm/resource asm/poll linux/sched linux/in linux/prctl linux/seccomp linux/keyctl linux/futex linux/eventpoll linux/fanotify linux/memfd linux/fs linux/mount linux/capability linux/wait linux/ipc linux/sem linux/mempolicy linux/landlock linux/openat2 linux/userfaultfd linux/perf_event linux/if_tun linux/loop linux/bpf";

/** Ends of ranges and sets of everything, which grow from release to release. */
const growing =
  /_(LAST|MAX|ALL|MASK|NR|COUNT|SUPPORTED_\w+|FLAGS|BITS)(_\w+)?$|^(F|CAP|PTRACE|AT|BPF|PERF)_LAST|^FAN_ALL_|^RWF_SUPPORTED|^UFFD_API_/;

/** A host's compiler lays structures out as x86 has them: 64-bit ABIs alike, 32-bit ones in their simple parts. */
const wide: readonly AbiName[] = ["riscv64", "ppc64le", "s390x", "mips64"];
const narrow: readonly AbiName[] = ["arm", "mips", "mips64n32"];

for (const abi of [...wide, ...narrow]) {
  const own = headers[abi];
  assert.ok(own !== undefined);
  test(`${abi}: constants have the values of an older kernel's headers`, (context) => {
    const is64 = abiByName(abi)?.bits === 64 && wide.includes(abi);
    const options = [...compilerOptions(own), is64 ? "-m64" : "-m32", "-malign-double"].filter(
      (option) => !is64 || option !== "-malign-double",
    );
    let checked = 0;
    const wrong: string[] = [];
    for (const header of constantHeaders.split(" ")) {
      const include = `#include <linux/types.h>\n#include <${header}.h>\n`;
      const known = macrosOf(options, include).filter(
        (name) => isConstant(name) && !growing.test(name) && constantValue(abi, name) !== undefined,
      );
      const lines = known.map((name) => {
        const value = constantValue(abi, name) ?? 0n;
        const isWide = value >= 2n ** 32n;
        const low = isWide ? value : BigInt.asUintN(32, value);
        return `_Static_assert(((unsigned long long)(${name}) & ${isWide ? "~0ULL" : "0xffffffffULL"}) == ${low}ULL, "is not ${value}");`;
      });
      const source = `${include}${lines.join("\n")}\n`;
      const result = spawnSync("gcc", ["-fsyntax-only", "-fmax-errors=0", ...options, "-"], {
        input: source,
        encoding: "utf8",
      });
      const bad = new Set<number>();
      for (const [, line, message = ""] of result.stderr.matchAll(/^<stdin>:(\d+):\d+: error: (.*)$/gm)) {
        bad.add(Number(line));
        if (message.startsWith("static assertion failed"))
          wrong.push(`${header} ${known[Number(line) - 3]} ${message}`);
      }
      checked += known.length - bad.size;
    }
    assert.deepEqual([...new Set(wrong)], []);
    context.diagnostic(`${checked} constants`);
    assert.ok(checked > 1500, `${checked} constants`);
  });
}
