// Writes src/syscalls/tables/{constants,errnos}.ts.
//
//   node scripts/gen-constants.mjs --headers DIR --source DIR
//
//   --headers  linux-libc-dev 7.2.13-1 (Debian sid, all architectures in one package), unpacked
//   --source   linux-source-7.2 7.2.13-1 (Debian sid), unpacked, for include/linux/{socket,net,fs,swap,splice}.h: names that
//              programs get from their C library, with the kernel's values
//
// Needs clang 16 (`--clang` where it has another name): one compiler for every ABI. Nothing of the
// target is run: each header's names are compiled to an array, and the values are read from LLVM's text for it.
// Only the kernel's own headers are looked at, so the values are those that a filter sees.
//
// A row of constants.ts and errnos.ts: a name and its value on x86_64, `-` where that has none. Each other ABI has a
// table of the names whose value is another one there, or which it has not.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { extra, headers, ignored, prefixes } from "./gen-constants/names.mjs";

const { values: options } = parseArgs({
  options: {
    headers: { type: "string" },
    source: { type: "string" },
    clang: { type: "string", default: "clang-16" },
    out: { type: "string", default: "src/syscalls/tables" },
    verbose: { type: "boolean", default: false },
    date: { type: "string", default: new Date().toISOString().slice(0, 10) },
  },
});
const include = join(options.headers, "usr/include");

const abis = [
  { name: "x86_64", target: "x86_64-linux-gnu", folder: "x86_64-linux-gnu" },
  { name: "x86", target: "i386-linux-gnu", folder: "i386-linux-gnu" },
  { name: "x32", target: "x86_64-linux-gnux32", folder: "x86_64-linux-gnu" },
  { name: "aarch64", target: "aarch64-linux-gnu", folder: "aarch64-linux-gnu" },
  { name: "arm", target: "arm-linux-gnueabihf", folder: "arm-linux-gnueabihf" },
  { name: "riscv64", target: "riscv64-linux-gnu", folder: "riscv64-linux-gnu" },
  { name: "ppc64le", target: "powerpc64le-linux-gnu", folder: "powerpc64le-linux-gnu" },
  { name: "s390x", target: "s390x-linux-gnu", folder: "s390x-linux-gnu" },
  { name: "loongarch64", target: "loongarch64-linux-gnu", folder: "loongarch64-linux-gnu" },
  { name: "mips64", target: "mips64-linux-gnuabi64", folder: "mips64-linux-gnuabi64" },
  { name: "mips64n32", target: "mips64-linux-gnuabin32", folder: "mips64-linux-gnuabi64" },
  { name: "mips", target: "mips-linux-gnu", folder: "mips-linux-gnu" },
];

const scratch = mkdtempSync(join(tmpdir(), "callgate-constants-"));

/** Lines of the kernel's internal headers that define numbers which programs pass to calls. */
function internalHeader(abi) {
  const readAt = (path) => readFileSync(join(options.source, path), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const read = (file) => readAt(join("include/linux", file));
  const defines = (file, wanted) =>
    read(file)
      .split("\n")
      .filter((line) => wanted.test(line) && !line.endsWith("\\"));
  const enumIn = (text, name) => new RegExp(`enum ${name} \\{[^}]*\\};`).exec(text)?.[0] ?? "";
  const enumOf = (file, name) => enumIn(read(file), name);
  // mips numbers the types of sockets in its own way (ARCH_HAS_SOCKET_TYPES); the other ABIs here do not.
  const ownTypes = abi.name.startsWith("mips") ? readAt("arch/mips/include/asm/socket.h") : read("net.h");
  return [
    "#include <linux/types.h>",
    "#include <asm/fcntl.h>",
    ...defines("socket.h", /^#define\s+(AF|PF|SOL|MSG)_\w+\s+\S/),
    ...defines("net.h", /^#define\s+SOCK_\w+\s+\S/),
    enumIn(ownTypes, "sock_type"),
    enumOf("net.h", "sock_shutdown_cmd"),
    ...defines("fs.h", /^#define\s+(MNT|UMOUNT)_\w+\s+\S/),
    ...defines("swap.h", /^#define\s+SWAP_FLAG_\w+\s+\S/),
    ...defines("splice.h", /^#define\s+SPLICE_F_\w+\s+\S/),
  ].join("\n");
}
// Some of the kernel's headers want a C library's socket address.
mkdirSync(join(scratch, "sys"));
writeFileSync(
  join(scratch, "sys/socket.h"),
  "#pragma once\n#include <linux/socket.h>\nstruct sockaddr { unsigned short sa_family; char sa_data[14]; };\ntypedef unsigned short sa_family_t;\n",
);
writeFileSync(join(scratch, "sys/time.h"), "#include <linux/time.h>\n");
writeFileSync(join(scratch, "sys/ioctl.h"), "#include <linux/ioctl.h>\n");
writeFileSync(join(scratch, "sys/types.h"), "#include <linux/types.h>\n");
mkdirSync(join(scratch, "netinet"));
writeFileSync(join(scratch, "netinet/in.h"), "#include <linux/in.h>\n#include <linux/in6.h>\n");

const ownIncludes = execFileSync(options.clang, ["-print-resource-dir"], { encoding: "utf8" }).trim();

function compilerArguments(abi) {
  return [
    `--target=${abi.target}`,
    "-ffreestanding",
    "-nostdinc",
    "-isystem",
    join(ownIncludes, "include"),
    "-isystem",
    join(include, abi.folder),
    "-isystem",
    include,
    "-I",
    scratch,
    "-w",
  ];
}

const wanted = new RegExp(`^(${prefixes.join("|")})`);
const unwanted = new RegExp(`^(${ignored.join("|")})$`);

/** Some headers want names of others, or of a C library, before them. */
const needy = ["linux/vm_sockets.h"];
const helpers = [
  "stddef.h",
  "stdint.h",
  "sys/socket.h",
  "callgate-internal.h",
  "linux/const.h",
  "linux/sockios.h",
  "asm/termbits.h",
  "linux/serial.h",
  "linux/blktrace_api.h",
  "linux/fiemap.h",
  "linux/filter.h",
  "asm/ioctls.h",
  "linux/wait.h",
];
const prelude = helpers.map((header) => `#include <${header}>\n`).join("");
const includes = (header, after = needy.includes(header) ? prelude : "") => `${after}#include <${header}>\n`;

/** Names that a header's own text (and what it includes of its own kind) defines: macros and enumerators. */
function namesOf(abi, header) {
  const source = includes(header);
  const run = (more) =>
    spawnSync(options.clang, [...compilerArguments(abi), "-E", ...more, "-x", "c", "-"], {
      input: source,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
  const macros = run(["-dM"]);
  if (macros.status !== 0) {
    if (options.verbose)
      console.error(
        `${abi.name} ${header}: ${macros.stderr.split("\n").find((line) => line.includes("error"))}`,
      );
    return undefined;
  }
  const names = new Set();
  for (const match of macros.stdout.matchAll(/^#define (\w+) (.+)$/gm)) names.add(match[1]);
  const text = run(["-P"]).stdout;
  for (const match of text.matchAll(/\benum\b[^{;()]*\{([^}]*)\}/g)) {
    for (const item of match[1].split(",")) {
      const name = /^\s*(\w+)/.exec(item)?.[1];
      if (name !== undefined) names.add(name);
    }
  }
  return [...names].filter((name) => wanted.test(name) && !unwanted.test(name)).sort();
}

/** The numbers that LLVM's text has for our array, with their sign. */
function numbersOf(llvm, count) {
  const [, text] = /^@callgate_values = .*? \[\d+ x i64\] (zeroinitializer|\[.*?\])/m.exec(llvm);
  if (text === "zeroinitializer") return Array.from({ length: count }, () => 0n);
  return [...text.matchAll(/i64 (-?\d+)/g)].map((match) => BigInt(match[1]));
}

/** name → value, of those names of a header that are integer constants on this ABI; with other headers' help. */
function valuesOf(abi, header, names) {
  const alone = valuesWith(includes(header), abi, header, names);
  const rest = names.filter((name) => !alone.has(name));
  const helped = header.startsWith("callgate")
    ? new Map()
    : valuesWith(includes(header, prelude), abi, header, rest);
  const dropped = rest.filter((name) => !helped.has(name));
  if (options.verbose && dropped.length > 0)
    console.error(`${abi.name} ${header}: not numbers: ${dropped.join(" ")}`);
  return new Map([...alone, ...helped]);
}

function valuesWith(before, abi, header, names) {
  let left = names;
  while (left.length > 0) {
    const head = `${before}const long long callgate_values[] = {\n`;
    const firstLine = head.split("\n").length;
    const source = `${head}${left.map((name) => `(long long)((${name}) | 0), ((${name}) | 0) < 0,\n`).join("")}};\n`;
    const file = join(scratch, "values.c");
    writeFileSync(file, source);
    const result = spawnSync(
      options.clang,
      [...compilerArguments(abi), "-O0", "-ferror-limit=0", "-S", "-emit-llvm", "-o", "-", file],
      { encoding: "utf8", maxBuffer: 1 << 28 },
    );
    if (result.status === 0) {
      const numbers = numbersOf(result.stdout, 2 * left.length);
      if (numbers.length !== 2 * left.length)
        throw new Error(`${abi.name} ${header}: ${left.length} names, ${numbers.length} values`);
      const value = (i) => (numbers[2 * i + 1] === 0n ? BigInt.asUintN(64, numbers[2 * i]) : numbers[2 * i]);
      return new Map(left.map((name, i) => [name, value(i)]));
    }
    const bad = new Set(
      [...result.stderr.matchAll(/values\.c:(\d+):\d+: error/g)].map((match) => Number(match[1]) - firstLine),
    );
    const kept = left.filter((_, i) => !bad.has(i));
    if (kept.length === left.length) {
      console.error(
        `${abi.name} ${header}: ${result.stderr.split("\n").find((line) => line.includes("error"))}`,
      );
      return new Map();
    }
    left = kept;
  }
  return new Map();
}

/** An int with the top bit set is a flag, not a negative number: `1 << 31`. */
const asFlag = (value) => (value === -0x8000_0000n ? 0x8000_0000n : value);

const found = new Map();
const errnoNames = new Set(["ENOTSUP"]);
for (const [index, abi] of abis.entries()) {
  const seen = new Map();
  writeFileSync(join(scratch, "callgate-internal.h"), internalHeader(abi));
  for (const header of headers) {
    const names = namesOf(abi, header);
    if (names === undefined) {
      if (existsSync(join(include, header)) || existsSync(join(include, abi.folder, header)))
        console.error(`${abi.name} ${header}: does not compile`);
      continue;
    }
    const fresh = names.filter((name) => !seen.has(name) || header.startsWith("callgate"));
    for (const [name, raw] of valuesOf(abi, header, fresh)) {
      const value = asFlag(raw);
      if (seen.has(name) && seen.get(name) !== value)
        console.error(`${abi.name} ${name}: ${seen.get(name)} and in ${header} ${value}`);
      if (!seen.has(name)) seen.set(name, value);
      if (header === "asm/errno.h") errnoNames.add(name);
    }
  }
  for (const [name, value] of seen) {
    if (!found.has(name))
      found.set(
        name,
        abis.map(() => undefined),
      );
    found.get(name)[index] = value;
  }
  console.log(`${abi.name}: ${seen.size} constants`);
}
for (const [name, value] of Object.entries(extra)) {
  const own = found.get(name);
  found.set(
    name,
    abis.map((_, i) => own?.[i] ?? (typeof value === "string" ? found.get(value)?.[i] : BigInt(value))),
  );
}

const isErrno = (name) => errnoNames.has(name);

const written = (value) => `${value ?? "-"}`;

function write(file, what, rows) {
  const head = `// Generated by scripts/gen-constants.mjs on ${options.date}; do not edit.
// Headers: linux-libc-dev 7.2.13-1; sockets and unmounting: linux-source-7.2 7.2.13-1 (both Debian sid).
// ${what}
`;
  writeFileSync(join(options.out, file), `${head}export const rows = \`\n${rows.join("\n")}\n\`;\n`);
  console.log(`${file}: ${rows.length} names`);
}

const all = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
const base = ([name, values]) => `${name} ${written(values[0])}`;
const baseRow = 'A row: name and value on x86_64 ("-": not known there).';
write("constants.ts", baseRow, all.filter(([name]) => !isErrno(name)).map(base));
// By number, the kernel's own name before its alias.
const aliases = ["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"];
const byNumber = ([a, x], [b, y]) =>
  Number((x[0] ?? 0x1000n) - (y[0] ?? 0x1000n)) || aliases.indexOf(a) - aliases.indexOf(b);
write(
  "errnos.ts",
  baseRow,
  all
    .filter(([name]) => isErrno(name))
    .sort(byNumber)
    .map(base),
);
for (const [index, { name: abi }] of abis.entries()) {
  if (index === 0) continue;
  write(
    `constants_${abi}.ts`,
    `A row: name and value on ${abi} ("-": not known there), where x86_64's is another.`,
    all
      .filter(([, values]) => values[index] !== values[0])
      .map(([name, values]) => `${name} ${written(values[index])}`),
  );
}
