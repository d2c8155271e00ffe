// Writes src/syscalls/tables/{x86_64,x86,x32,aarch64,multiplexed}.ts.
//
//   node scripts/gen-syscalls.mjs --data DIR --source DIR --older-source DIR --manual DIR --newer-manual DIR
//
//   --data          the folder with syscalls.json (numbers from linux-libc-dev 7.2.13-1, first releases)
//   --source        linux-source-7.2 7.2.13-1 (Debian sid), unpacked
//   --older-source  linux-source-6.1 6.1.192-2 (Debian 12), unpacked: calls that newer kernels dropped, and the
//                   widths of the older kernel to compare with
//   --manual        manpages-dev 6.03-2 (Debian 12), unpacked: the argument names
//   --newer-manual  manpages-dev 6.20-2 (Debian sid), unpacked: names of newer calls, and aliases
//
// `apt-get download PACKAGE` and `dpkg-deb -x` bring them; of the kernel sources only kernel fs mm net ipc
// security block io_uring init lib include drivers arch/x86 arch/arm64 scripts are read. Users never run
// this: its result is checked in.
//
// A row: number, name, first release (- when not known), then the arguments in the order of the registers:
//   name/alias…:TYPE[PLACE]  TYPE: s or u with 16, 32 or 64 bits; p a pointer (p32: 32 bits on a 64-bit ABI)
//   PLACE: nothing is the next word; @N word N; @L+H two words, low and high; @mem memory; =V the constant V
//   ? alone: the arguments are not known
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as facts from "./gen-syscalls/facts.mjs";
import { definitionFor, readDefinitions, readEntries } from "./gen-syscalls/kernel.mjs";
import { readManual } from "./gen-syscalls/man.mjs";
import { multiplexedRows } from "./gen-syscalls/multiplexed.mjs";
import { typeInfo } from "./gen-syscalls/types.mjs";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "/work/shared/data" },
    source: { type: "string" },
    "older-source": { type: "string" },
    manual: { type: "string" },
    "newer-manual": { type: "string" },
    out: { type: "string", default: "src/syscalls/tables" },
    date: { type: "string", default: new Date().toISOString().slice(0, 10) },
  },
});

/** ABI → the folder of its kernel's sources and the bits of its `long` as its entry points see it. */
const abis = {
  x86_64: { arch: "x86", word: 64, headers: "x86_64-linux-gnu/asm/unistd_64.h", clone: "plain" },
  x86: { arch: "x86", word: 32, headers: "i386-linux-gnu/asm/unistd_32.h", native: "x86" },
  x32: { arch: "x86", word: 64, headers: "x86_64-linux-gnu/asm/unistd_x32.h", clone: "plain" },
  aarch64: { arch: "arm64", word: 64, headers: "aarch64-linux-gnu/asm/unistd_64.h" },
  // As arm64's kernel serves it; an arm kernel's own entry points are compared with.
  arm: { arch: "arm64", word: 32, headers: "arm-linux-gnueabihf/asm/unistd-eabi.h", native: "arm" },
  riscv64: { arch: "riscv", word: 64, headers: "riscv64-linux-gnu/asm/unistd_64.h" },
  ppc64le: { arch: "powerpc", word: 64, headers: "powerpc64le-linux-gnu/asm/unistd_64.h" },
  s390x: { arch: "s390", word: 64, headers: "s390x-linux-gnu/asm/unistd_64.h", clone: "backwards2" },
  loongarch64: {
    arch: "loongarch",
    word: 64,
    headers: "loongarch64-linux-gnu/asm/unistd_64.h",
    clone: "plain",
  },
  mips64: { arch: "mips", word: 64, headers: "mips64-linux-gnuabi64/asm/unistd_n64.h" },
  mips64n32: { arch: "mips", word: 64, headers: "mips64-linux-gnuabi64/asm/unistd_n32.h" },
  mips: {
    arch: "mips",
    word: 32,
    headers: "mips-linux-gnu/asm/unistd_o32.h",
    native: "mips",
    visibleWords: 3,
  },
};

/** The orders of clone's words, by which the kernel's configuration chooses its definition. */
const cloneOrders = {
  plain: "clone_flags,newsp,parent_tidptr,child_tidptr,tls",
  backwards: "clone_flags,newsp,parent_tidptr,tls,child_tidptr",
  backwards2: "newsp,clone_flags,parent_tidptr,child_tidptr,tls",
};

const calls = JSON.parse(readFileSync(join(options.data, "syscalls.json"), "utf8"));
const definitions = readDefinitions(options.source);
const older = readDefinitions(options["older-source"]);
const entries = readEntries(options.source);
const olderEntries = readEntries(options["older-source"]);
const manual = readManual(options.manual);
const newerManual = readManual(options["newer-manual"]);

/** The kernel's arguments: [{ name, type, place? }], or undefined where no kernel at hand has the call. */
function kernelArguments(abi, name, from = definitions, entry = entries[abi].get(name)) {
  const { arch } = abis[abi];
  if (entry === undefined) return undefined;
  const all = from.get(entry);
  // Variants chosen by the configuration: CLONE_BACKWARDS, CLONE_BACKWARDS2, or neither.
  if (entry === "sys_clone") {
    const order = cloneOrders[abis[abi].clone ?? "backwards"];
    return from.get("sys_clone")?.find(({ args }) => args.map((arg) => arg.name).join() === order)?.args;
  }
  if (entry === "sys_sigsuspend" && arch !== "mips") return all?.find(({ args }) => args.length === 3)?.args;
  return definitionFor(from, entry, arch)?.args;
}

/** Joins two words that are one value; gives every argument its place. */
function placed(abi, name, args) {
  const result = [];
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i];
    const pair =
      (abis[abi].word === 32 || (arg.type === "u32" && args[i + 1]?.type === "u32")) &&
      facts.wordPairs.find(([a, b]) => a === arg.name && b === args[i + 1]?.name);
    if (pair) {
      const [low, high] = pair[3] === "first" ? [i, i + 1] : [i + 1, i];
      const signed = facts.signedValues.includes(pair[2]);
      result.push({ kernelName: pair[2], kind: "integer", width: 64, signed, place: { low, high } });
      i += 1;
      continue;
    }
    if (facts.ignoredWords.includes(arg.name)) continue;
    const info = typeInfo(arg.type, abis[abi].word);
    const narrow =
      facts.narrowed[name]?.[arg.name] ?? (name === "mmap2" ? facts.narrowed.mmap[arg.name] : undefined);
    if (abis[abi].word === 32 && info.width === 64)
      throw new Error(`${abi} ${name}: ${arg.name} has 64 bits in one word`);
    // A descriptor may be AT_FDCWD (-100): signed, also where an entry point says unsigned.
    const signed = narrow?.[0] ?? (info.signed || arg.name === "dfd" || arg.name === "pos_l");
    if (narrow || arg.name === "dfd")
      result.push({ kernelName: arg.name, kind: "integer", width: 32, signed, place: { index: i } });
    else result.push({ kernelName: arg.name, ...info, signed, place: { index: i } });
  }
  return result;
}

const plainName = (name) => name.replace(/^_+/, "");

/** Name and aliases: the manual's, then the newer manual's and the kernel's. */
function named(name, args) {
  const byKernel = facts.namesByKernelName[name];
  const page = facts.pageOf(name);
  const old = byKernel ? undefined : manual.get(page);
  const fresh = facts.notPrototypes.includes(page) ? undefined : newerManual.get(page);
  const primaries = args.map((arg, i) => {
    if (byKernel) return byKernel[arg.kernelName] ?? plainName(arg.kernelName);
    return old?.[i] ?? fresh?.[i] ?? plainName(arg.kernelName);
  });
  const taken = new Set(primaries);
  return args.map((arg, i) => {
    const candidates = [
      byKernel ? undefined : fresh?.[i],
      plainName(arg.kernelName),
      ...(facts.moreAliases[name]?.[primaries[i]] ?? []),
    ];
    const aliases = [];
    for (const alias of candidates) {
      if (alias === undefined || taken.has(alias)) continue;
      taken.add(alias);
      aliases.push(alias);
    }
    return { ...arg, name: primaries[i], aliases };
  });
}

function written(arg, next) {
  const names = [arg.name, ...arg.aliases].join("/");
  const type =
    arg.kind === "pointer"
      ? arg.width === arg.word
        ? "p"
        : `p${arg.width}`
      : `${arg.signed ? "s" : "u"}${arg.width}`;
  const { place } = arg;
  let where = "";
  if (place === "memory") where = "@mem";
  else if ("value" in place) where = `=${place.value}`;
  else if ("low" in place) where = `@${place.low}+${place.high}`;
  else if (place.index !== next) where = `@${place.index}`;
  return `${names}:${type}${where}`;
}

export function writeArguments(args) {
  let next = 0;
  const words = [];
  for (const arg of args) {
    words.push(written(arg, next));
    if (arg.place !== "memory" && "index" in arg.place) next = arg.place.index + 1;
    else if (arg.place !== "memory" && "low" in arg.place) next = Math.max(arg.place.low, arg.place.high) + 1;
  }
  return words.join(" ");
}

const fromPair =
  (abi, place) =>
  ([names, type]) => {
    const [name, ...aliases] = names.split("/");
    return { name, aliases, ...typeInfo(type, abis[abi].word), word: abis[abi].word, place };
  };

/** Where only the first words are what the kernel will read, an argument in a later one is out of sight. */
function visible(abi, arg) {
  const { visibleWords = 6 } = abis[abi];
  const { index = 0, low = 0, high = 0 } = arg.place;
  return Math.max(index, low, high) < visibleWords ? arg : { ...arg, place: "memory" };
}

/** All arguments of a call as its ABI has them, or undefined. */
export function argumentsOf(abi, name) {
  const { word } = abis[abi];
  const memory = facts.inMemory[abi]?.[name];
  if (memory) return memory.map(fromPair(abi, "memory"));
  const byHand = facts.byHand[abi]?.[name];
  if (byHand)
    return byHand.map(([names, type, place], index) => fromPair(abi, place ?? { index })([names, type]));
  const gone = ((word === 32 && facts.goneOn32Bits[name]) || facts.gone[name])?.map(([argName, type]) => ({
    name: argName,
    type,
  }));
  const raw =
    kernelArguments(abi, name) ??
    kernelArguments(abi, name, older, olderEntries[abi].get(name) ?? entries[abi].get(name)) ??
    gone;
  if (raw === undefined) return undefined;
  const constants = (facts.constants[name] ?? []).map(([argName, type, value]) => ({
    ...fromPair(abi, { value })([argName, type]),
  }));
  const args = named(name, placed(abi, name, raw)).map((arg) => ({ ...arg, word }));
  return [...args.map((arg) => visible(abi, arg)), ...constants];
}

/** Where the older kernel reads other bits than the newer one: to be looked at by a person. */
function compareWithOlder(abi, name) {
  const now = kernelArguments(abi, name);
  const before = kernelArguments(abi, name, older, olderEntries[abi].get(name));
  if (now === undefined || before === undefined) return;
  const text = (args) => args.map((arg) => JSON.stringify(typeInfo(arg.type, abis[abi].word))).join();
  if (text(now) !== text(before))
    console.error(
      `${abi} ${name}: older kernel ${before.map((a) => `${a.type} ${a.name}`)}; newer ${now.map((a) => `${a.type} ${a.name}`)}`,
    );
}

/** Where a 32-bit kernel's entry and a 64-bit kernel's compat entry differ in what they read. */
function compareWithNative(abi, name) {
  const { native: own } = abis[abi];
  if (own === undefined) return;
  const foreign = kernelArguments(abi, name);
  const entry = entries.native[own].get(name);
  const native =
    entry && (definitionFor(definitions, entry, own) ?? definitionFor(definitions, entry, abis[abi].arch));
  if (foreign === undefined || native === undefined || foreign === native.args) return;
  const text = (args) => args.map((arg) => JSON.stringify(typeInfo(arg.type, 32))).join();
  const shown = (args) => args.map((a) => `${a.type} ${a.name}`);
  if (text(foreign) !== text(native.args))
    console.error(`${abi} ${name}: compat ${shown(foreign)}; native ${shown(native.args)}`);
}

function releaseOf(abi, call) {
  return facts.lateNumbers[abi]?.[call.name] ?? facts.otherReleases[call.name] ?? call.since;
}

function fileHead(abi) {
  return `// Generated by scripts/gen-syscalls.mjs on ${options.date}; do not edit.
// Numbers: ${abis[abi].headers} of linux-libc-dev 7.2.13-1 (Debian sid).
// Arguments: linux-source-7.2 7.2.13-1 and, for calls it no longer has, linux-source-6.1 6.1.192-2.
// Names: manpages-dev 6.03-2, then 6.20-2. First releases: syscalls(2) of manpages-dev 6.20-2, release headers.
// The rows' form is described at the head of the generator and in ../parse.ts.
`;
}

for (const abi of Object.keys(abis)) {
  const rows = calls
    .filter((call) => call.numbers[abi] !== undefined)
    .map((call) => ({ nr: call.numbers[abi], call }))
    .sort((a, b) => a.nr - b.nr)
    .map(({ nr, call }) => {
      compareWithOlder(abi, call.name);
      compareWithNative(abi, call.name);
      const args = argumentsOf(abi, call.name);
      const release = releaseOf(abi, call);
      if (release === undefined && facts.withoutRelease[call.name] === undefined)
        console.error(`${abi} ${call.name}: no first release`);
      const text = args === undefined ? "?" : writeArguments(args);
      return `${nr} ${call.name} ${release ?? "-"}${text === "" ? "" : ` ${text}`}`;
    });
  const missing = calls.filter(
    (call) => call.numbers[abi] !== undefined && releaseOf(abi, call) === undefined,
  );
  const reasons = missing.map((call) => `//   ${call.name}: ${facts.withoutRelease[call.name]}\n`).join("");
  const head = `${fileHead(abi)}// Calls without a first release:\n${reasons}`;
  writeFileSync(join(options.out, `${abi}.ts`), `${head}export const rows = \`\n${rows.join("\n")}\n\`;\n`);
  console.log(
    `${abi}: ${rows.length} calls, ${rows.filter((row) => row.endsWith(" ?")).length} with unknown arguments`,
  );
}

writeFileSync(
  join(options.out, "multiplexed.ts"),
  `${fileHead("x86").replace(/\/\/ Numbers:.*\n/, "// Codes: linux/net.h and linux/ipc.h; places: ipc/syscall.c and net/socket.c.\n")}export const rows = \`\n${multiplexedRows(argumentsOf, writeArguments).join("\n")}\n\`;\n`,
);
