// Writes src/syscalls/tables/{constants,errnos}.ts.
//
//   node scripts/gen-constants.mjs --headers DIR --source DIR
//
//   --headers  linux-libc-dev 7.2.13-1 (Debian sid, all architectures in one package), unpacked
//   --source   linux-source-7.2 7.2.13-1 (Debian sid), unpacked, for include/linux/{socket,net,fs,swap,splice}.h: names that
//              programs get from their C library, with the kernel's values
//
// Needs gcc 12 (x86_64, with -m32 and -mx32; no 32-bit C library) and gcc-12-aarch64-linux-gnu. Nothing of the
// target is run: each header's names are compiled to an array, and the values are read from the assembler text.
// Only the kernel's own headers are looked at, so the values are those that a filter sees.
//
// A row: a name and its value, or a value for each ABI in the order of src/syscalls/abi.ts, `-` where it is not known.
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
    out: { type: "string", default: "src/syscalls/tables" },
    verbose: { type: "boolean", default: false },
    date: { type: "string", default: new Date().toISOString().slice(0, 10) },
  },
});
const include = join(options.headers, "usr/include");

const abis = [
  { name: "x86_64", compiler: ["gcc", "-m64"], folder: "x86_64-linux-gnu" },
  { name: "x86", compiler: ["gcc", "-m32"], folder: "i386-linux-gnu" },
  { name: "x32", compiler: ["gcc", "-mx32"], folder: "x86_64-linux-gnu" },
  { name: "aarch64", compiler: ["aarch64-linux-gnu-gcc-12"], folder: "aarch64-linux-gnu" },
];

const scratch = mkdtempSync(join(tmpdir(), "callgate-constants-"));

/** Lines of the kernel's internal headers that define numbers which programs pass to calls. */
function internalHeader() {
  const read = (file) =>
    readFileSync(join(options.source, "include/linux", file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const defines = (file, wanted) =>
    read(file)
      .split("\n")
      .filter((line) => wanted.test(line) && !line.endsWith("\\"));
  const enumOf = (file, name) => new RegExp(`enum ${name} \\{[^}]*\\};`).exec(read(file))?.[0] ?? "";
  return [
    "#include <linux/types.h>",
    "#include <asm/fcntl.h>",
    ...defines("socket.h", /^#define\s+(AF|PF|SOL|MSG)_\w+\s+\S/),
    ...defines("net.h", /^#define\s+SOCK_\w+\s+\S/),
    enumOf("net.h", "sock_type"),
    enumOf("net.h", "sock_shutdown_cmd"),
    ...defines("fs.h", /^#define\s+(MNT|UMOUNT)_\w+\s+\S/),
    ...defines("swap.h", /^#define\s+SWAP_FLAG_\w+\s+\S/),
    ...defines("splice.h", /^#define\s+SPLICE_F_\w+\s+\S/),
  ].join("\n");
}
writeFileSync(join(scratch, "callgate-internal.h"), internalHeader());
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

function compilerArguments(abi) {
  const own = execFileSync(abi.compiler[0], ["-print-file-name=include"], { encoding: "utf8" }).trim();
  return [
    "-ffreestanding",
    "-nostdinc",
    "-isystem",
    own,
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
  const [command, ...flags] = abi.compiler;
  const source = includes(header);
  const run = (more) =>
    spawnSync(command, [...flags, ...compilerArguments(abi), "-E", ...more, "-x", "c", "-"], {
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

/** The bytes that an assembler text puts into our array, as 64-bit numbers. */
function numbersOf(assembler) {
  const start = assembler.indexOf("callgate_values:");
  const words = [];
  for (const line of assembler.slice(start).split("\n").slice(1)) {
    const match = /^\s*\.(quad|xword|long|word|zero)\s+(-?\w+)/.exec(line);
    if (match === null) {
      if (/^\s*\.(section|ident|size)/.test(line)) break;
      continue;
    }
    const [, directive, text] = match;
    if (directive === "zero") for (let i = 0; i < Number(text); i += 4) words.push(0n);
    else if (directive === "quad" || directive === "xword") {
      const value = BigInt.asUintN(64, BigInt(text));
      words.push(value & 0xffff_ffffn, value >> 32n);
    } else words.push(BigInt.asUintN(32, BigInt(text)));
  }
  const numbers = [];
  for (let i = 0; i + 1 < words.length; i += 2)
    numbers.push(BigInt.asIntN(64, words[i] | (words[i + 1] << 32n)));
  return numbers;
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
  const [command, ...flags] = abi.compiler;
  let left = names;
  while (left.length > 0) {
    const head = `${before}const long long callgate_values[] = {\n`;
    const firstLine = head.split("\n").length;
    const source = `${head}${left.map((name) => `(long long)((${name}) | 0), ((${name}) | 0) < 0,\n`).join("")}};\n`;
    const file = join(scratch, "values.c");
    writeFileSync(file, source);
    const result = spawnSync(
      command,
      [...flags, ...compilerArguments(abi), "-O0", "-fmax-errors=0", "-S", "-o", "-", file],
      { encoding: "utf8", maxBuffer: 1 << 28 },
    );
    if (result.status === 0) {
      const numbers = numbersOf(result.stdout);
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
  if (!found.has(name))
    found.set(name, typeof value === "string" ? found.get(value) : abis.map(() => BigInt(value)));
}

const isErrno = (name) => errnoNames.has(name);

function row(name, values) {
  const same = values.every((value) => value !== undefined && value === values[0]);
  return `${name} ${same ? values[0] : values.map((value) => value ?? "-").join(" ")}`;
}

function write(file, entries) {
  const head = `// Generated by scripts/gen-constants.mjs on ${options.date}; do not edit.
// Headers: linux-libc-dev 7.2.13-1; sockets and unmounting: linux-source-7.2 7.2.13-1 (both Debian sid).
// A row: name, then one value, or one for each of ${abis.map(({ name }) => name).join(", ")} ("-": not known there).
`;
  writeFileSync(
    join(options.out, file),
    `${head}export const rows = \`\n${entries.map(([name, values]) => row(name, values)).join("\n")}\n\`;\n`,
  );
  console.log(`${file}: ${entries.length} names`);
}

const all = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
write(
  "constants.ts",
  all.filter(([name]) => !isErrno(name)),
);
// By number, the kernel's own name before its alias.
const aliases = ["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"];
write(
  "errnos.ts",
  all
    .filter(([name]) => isErrno(name))
    .sort(([a, x], [b, y]) => Number(x[0] - y[0]) || aliases.indexOf(a) - aliases.indexOf(b)),
);
