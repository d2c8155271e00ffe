// Reads the kernel's own sources: entry points per ABI from its tables, and what each entry point takes
// from its SYSCALL_DEFINE and COMPAT_SYSCALL_DEFINE lines.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const folders = [
  "kernel",
  "fs",
  "mm",
  "net",
  "ipc",
  "security",
  "block",
  "io_uring",
  "drivers",
  "lib",
  "init",
];
const archFolders = Object.fromEntries(
  ["x86", "arm64", "arm", "riscv", "powerpc", "s390", "loongarch", "mips"].map((arch) => [
    arch,
    `arch/${arch}`,
  ]),
);
/** Alternatives for kernels that nobody runs containers on. */
const ignoredFiles = ["mm/nommu.c", "kernel/sys_ni.c"];

/** Every definition of a tree: `sys_NAME` or `compat_sys_NAME` → [{ file, args: [{ type, name }] }]. */
export function readDefinitions(source) {
  const definitions = new Map();
  const visit = (folder) => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.name.endsWith(".c")) readFile(path);
    }
  };
  const readFile = (path) => {
    const file = relative(source, path);
    if (ignoredFiles.includes(file) || file.startsWith("arch/x86/um")) return;
    const text = readFileSync(path, "latin1");
    if (!text.includes("SYSCALL_DEFINE")) return;
    const plain = text
      .replace(/\/\*[\s\S]*?\*\//g, "")
      .replace(/\bSYSCALL32_DEFINE/g, "COMPAT_SYSCALL_DEFINE") // what it is on a 64-bit kernel
      .replace(/SC_ARG64\((\w+)\)/g, "unsigned int, $1_lo, unsigned int, $1_hi") // little-endian
      .replace(/arg_u32p\((\w+)\)/g, "u32, $1_lo, u32, $1_hi"); // little-endian
    for (const match of plain.matchAll(/\b(COMPAT_)?SYSCALL_DEFINE([0-6])\s*\(\s*(\w+)\s*((?:,[^)]*)?)\)/g)) {
      const [, compat, count, name, rest] = match;
      const parts = rest
        .split(",")
        .slice(1)
        .map((part) => part.replace(/\s+/g, " ").trim());
      if (parts.length !== 2 * Number(count)) continue;
      const args = [];
      for (let i = 0; i < parts.length; i += 2) {
        const type = parts[i]
          .replace(/\b__user\b|\bconst\b|\b__force\b/g, "")
          .replace(/\s+/g, " ")
          .trim();
        args.push({ type, name: parts[i + 1] });
      }
      const key = `${compat ? "compat_" : ""}sys_${name}`;
      definitions.set(key, [...(definitions.get(key) ?? []), { file, args }]);
    }
  };
  for (const folder of [...folders, ...Object.values(archFolders)]) visit(join(source, folder));
  return definitions;
}

/** The definition that an ABI's kernel is built with. */
export function definitionFor(definitions, entry, arch) {
  const all = (definitions.get(entry) ?? []).filter(
    ({ file }) => !file.startsWith("arch/") || file.startsWith(`${archFolders[arch]}/`),
  );
  return all.find(({ file }) => file.startsWith("arch/")) ?? all[0];
}

function readTable(path) {
  return readFileSync(path, "latin1")
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line) => line.split(/\s+/))
    .map(([nr, kind, name, entry, compat]) => ({ nr: Number(nr), kind, name, entry, compat }));
}

const implemented = (entry) =>
  entry === undefined || entry === "-" || entry.endsWith("ni_syscall") || entry === ""
    ? undefined
    : entry.replace(/^__sys_/, "sys_"); // mips saves more registers before some

/** The rows of a table whose second column is one of `kinds`, as call name → entry point. */
function entriesOf(source, file, kinds, entryOf = (row) => row.entry) {
  const path = join(source, file);
  if (!existsSync(path)) return new Map();
  return new Map(
    readTable(path)
      .filter((row) => kinds.includes(row.kind))
      .map((row) => [row.name, implemented(entryOf(row))]),
  );
}

const compat = (row) => implemented(row.compat) ?? row.entry;

/**
 * Per ABI: call name → entry point. A 32-bit program on a 64-bit kernel enters by the compat column where
 * there is one; `native` keeps what a 32-bit kernel would use, so that both can be compared.
 */
export function readEntries(source) {
  const generic = "scripts/syscall.tbl";
  const power = "arch/powerpc/kernel/syscalls/syscall.tbl";
  const mips = (file) => `arch/mips/kernel/syscalls/syscall_${file}.tbl`;
  const entries = {
    x86_64: entriesOf(source, "arch/x86/entry/syscalls/syscall_64.tbl", ["common", "64"]),
    x86: entriesOf(source, "arch/x86/entry/syscalls/syscall_32.tbl", ["i386"], compat),
    x32: entriesOf(source, "arch/x86/entry/syscalls/syscall_64.tbl", ["common", "x32"]),
    aarch64: entriesOf(source, "arch/arm64/tools/syscall_64.tbl", [
      "common",
      "64",
      "renameat",
      "rlimit",
      "memfd_secret",
    ]),
    arm: entriesOf(source, "arch/arm64/tools/syscall_32.tbl", ["common"], compat),
    riscv64: entriesOf(source, generic, ["common", "64", "riscv", "rlimit", "memfd_secret"]),
    ppc64le: entriesOf(source, power, ["common", "nospu", "64"]),
    s390x: entriesOf(source, "arch/s390/kernel/syscalls/syscall.tbl", ["common", "64"]),
    loongarch64: entriesOf(source, generic, ["common", "64", "memfd_secret"]),
    mips64: entriesOf(source, mips("n64"), ["n64", "common"]),
    mips64n32: entriesOf(source, mips("n32"), ["n32"]),
    mips: entriesOf(source, mips("o32"), ["o32"], compat),
    native: {
      x86: entriesOf(source, "arch/x86/entry/syscalls/syscall_32.tbl", ["i386"]),
      arm: entriesOf(source, "arch/arm/tools/syscall.tbl", ["common", "eabi"]),
      mips: entriesOf(source, mips("o32"), ["o32"]),
    },
  };
  if (entries.aarch64.size > 0) entries.aarch64.set("personality", "sys_arm64_personality");
  return entries;
}
