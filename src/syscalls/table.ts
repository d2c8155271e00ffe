/**
 * The calls of each ABI. A table is parsed when it is first asked for, and a call's arguments when they are:
 * the command line starts cold, and most runs look at few calls.
 */
import { type AbiName, abis } from "./abi.ts";
import type { Argument } from "./argument.ts";
import { multiplexedOf } from "./multiplexed.ts";
import { readArguments } from "./parse.ts";
import { rows as aarch64 } from "./tables/aarch64.ts";
import { rows as arm } from "./tables/arm.ts";
import { rows as loongarch64 } from "./tables/loongarch64.ts";
import { rows as mips } from "./tables/mips.ts";
import { rows as mips64 } from "./tables/mips64.ts";
import { rows as mips64n32 } from "./tables/mips64n32.ts";
import { rows as ppc64le } from "./tables/ppc64le.ts";
import { rows as riscv64 } from "./tables/riscv64.ts";
import { rows as s390x } from "./tables/s390x.ts";
import { rows as x32 } from "./tables/x32.ts";
import { rows as x86 } from "./tables/x86.ts";
import { rows as x86_64 } from "./tables/x86_64.ts";
import { type KernelVersion, parseVersion } from "./version.ts";

export interface Syscall {
  readonly abi: AbiName;
  /** As seccomp_data.nr has it: x32's with the bit 0x4000_0000. */
  readonly nr: number;
  readonly name: string;
  /** The first release with this number; undefined where none ever served it. */
  readonly since: KernelVersion | undefined;
  /** In the order of the manual page; undefined where they are not known. */
  readonly args: readonly Argument[] | undefined;
}

interface Table {
  readonly calls: readonly Syscall[];
  readonly byNumber: ReadonlyMap<number, Syscall>;
  readonly byName: ReadonlyMap<string, Syscall>;
}

/**
 * Functions, so that a table is read when it is asked for: in the command's bundle each is a file of its own.
 * Both byte orders of mips have the same calls, and their arguments in the same words.
 */
const sources: Readonly<Record<AbiName, () => string>> = {
  x86_64: () => x86_64,
  x86: () => x86,
  x32: () => x32,
  aarch64: () => aarch64,
  arm: () => arm,
  riscv64: () => riscv64,
  ppc64le: () => ppc64le,
  s390x: () => s390x,
  loongarch64: () => loongarch64,
  mips64: () => mips64,
  mips64n32: () => mips64n32,
  mips: () => mips,
  mips64el: () => mips64,
  mipsel64n32: () => mips64n32,
  mipsel: () => mips,
};
const tables = new Map<AbiName, Table>();

/** What a row's argument text means, per width of a register: many rows have the same. */
const argumentsOfText = new Map<string, readonly Argument[] | undefined>();
const versionOfText = new Map<string, KernelVersion | undefined>([["-", undefined]]);

function argumentsIn(text: string, bits: 32 | 64): readonly Argument[] | undefined {
  const key = `${bits}${text}`;
  const known = argumentsOfText.get(key);
  if (known !== undefined) return known;
  const args = readArguments(text, bits);
  argumentsOfText.set(key, args);
  return args;
}

function releaseIn(text: string): KernelVersion | undefined {
  if (!versionOfText.has(text)) versionOfText.set(text, parseVersion(text));
  return versionOfText.get(text);
}

/**
 * A row of a table. Its release and its arguments are read when they are asked for; the getters are the class's, since
 * closures of every call's own were most of what a cold start allocated.
 */
class TableCall implements Syscall {
  readonly abi: AbiName;
  readonly nr: number;
  readonly name: string;
  readonly #row: string;
  readonly #bits: 32 | 64;

  constructor(abi: AbiName, bits: 32 | 64, row: string) {
    const nameAt = row.indexOf(" ") + 1;
    this.abi = abi;
    this.nr = Number(row.slice(0, nameAt - 1));
    this.name = row.slice(nameAt, row.indexOf(" ", nameAt));
    this.#row = row;
    this.#bits = bits;
  }

  get since(): KernelVersion | undefined {
    const { release, end } = this.#releaseIn();
    return releaseIn(this.#row.slice(release, end));
  }

  get args(): readonly Argument[] | undefined {
    return argumentsIn(this.#row.slice(this.#releaseIn().end + 1), this.#bits);
  }

  #releaseIn(): { readonly release: number; readonly end: number } {
    const release = this.#row.indexOf(this.name) + this.name.length + 1;
    const space = this.#row.indexOf(" ", release);
    return { release, end: space === -1 ? this.#row.length : space };
  }
}

function tableOf(abi: AbiName): Table {
  const known = tables.get(abi);
  if (known !== undefined) return known;
  const bits = abis.find(({ name }) => name === abi)?.bits ?? 64;
  const calls: Syscall[] = [];
  const byNumber = new Map<number, Syscall>();
  const byName = new Map<string, Syscall>();
  for (const row of sources[abi]().trim().split("\n")) {
    const call = new TableCall(abi, bits, row);
    calls.push(call);
    byNumber.set(call.nr, call);
    byName.set(call.name, call);
  }
  const table = { calls, byNumber, byName };
  tables.set(abi, table);
  return table;
}

/** Every call of an ABI, sorted by number. */
export function syscallsOf(abi: AbiName): readonly Syscall[] {
  return tableOf(abi).calls;
}

/** The call with this number (x32's with the bit 0x4000_0000), or undefined where the tables know none. */
export function syscallByNumber(abi: AbiName, nr: number): Syscall | undefined {
  return tableOf(abi).byNumber.get(nr);
}

/** The call of this name, or undefined where this ABI has none. */
export function syscallByName(abi: AbiName, name: string): Syscall | undefined {
  return tableOf(abi).byName.get(name);
}

/**
 * Whether an ABI has a call of this name. Its table is searched as a text where it has not been parsed yet: of most
 * tables that is all that is ever asked.
 */
export function hasSyscall(abi: AbiName, name: string): boolean {
  const known = tables.get(abi);
  if (known !== undefined) return known.byName.has(name);
  // In a row only the name stands between two spaces and is a word.
  return /^[a-zA-Z_]\w*$/.test(name) && sources[abi]().includes(` ${name} `);
}

/** The number of a call as seccomp_data.nr has it, or undefined where the ABI is not known or lacks the call. */
export function syscallNumber(abi: string, name: string): number | undefined {
  const known = abis.find((candidate) => candidate.name === abi);
  return known === undefined ? undefined : syscallByName(known.name, name)?.nr;
}

let allNames: readonly string[] | undefined;

function readNames(): readonly string[] {
  const names = abis.flatMap(({ name }) =>
    [...syscallsOf(name), ...multiplexedOf(name)].map((call) => call.name),
  );
  return [...new Set(names)].sort();
}

/**
 * The name of every call of any ABI, sorted; `send` and `recv` among them, which on some ABIs are only behind
 * socketcall.
 */
export function syscallNames(): readonly string[] {
  allNames ??= readNames();
  return allNames;
}
