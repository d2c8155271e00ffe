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
const archFolders = { x86: "arch/x86", arm64: "arch/arm64" };
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
      .replace(/SC_ARG64\((\w+)\)/g, "unsigned int, $1_lo, unsigned int, $1_hi"); // little-endian
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
  entry === undefined || entry === "-" || entry.endsWith("ni_syscall") || entry === "" ? undefined : entry;

/**
 * Per ABI: call name → entry point. An i386 program on a 64-bit kernel enters by the compat column where
 * there is one; `native` keeps what a 32-bit kernel would use, so that both can be compared.
 */
export function readEntries(source) {
  const x86 = new Map();
  const native = new Map();
  for (const row of readTable(join(source, "arch/x86/entry/syscalls/syscall_32.tbl"))) {
    x86.set(row.name, implemented(row.compat) ?? implemented(row.entry));
    native.set(row.name, implemented(row.entry));
  }
  const x86_64 = new Map();
  const x32 = new Map();
  for (const row of readTable(join(source, "arch/x86/entry/syscalls/syscall_64.tbl"))) {
    if (row.kind !== "x32") x86_64.set(row.name, implemented(row.entry));
    if (row.kind !== "64") x32.set(row.name, implemented(row.entry));
  }
  const aarch64 = new Map();
  const arm64Table = join(source, "arch/arm64/tools/syscall_64.tbl");
  if (existsSync(arm64Table)) {
    const kinds = ["common", "64", "renameat", "rlimit", "memfd_secret"];
    for (const row of readTable(arm64Table)) {
      if (kinds.includes(row.kind)) aarch64.set(row.name, implemented(row.entry));
    }
    aarch64.set("personality", "sys_arm64_personality");
  }
  return { x86_64, x32, x86, aarch64, native };
}
