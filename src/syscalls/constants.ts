/**
 * Names for numbers, with the value that each ABI's kernel gives them. Where the C library and the kernel
 * disagree (O_LARGEFILE, SIGRTMIN) the kernel's counts: the filter sees what the kernel sees.
 */
import type { AbiName } from "./abi.ts";
import { readRows } from "./parse.ts";
import { rows as constantRows } from "./tables/constants.ts";
import { rows as aarch64 } from "./tables/constants_aarch64.ts";
import { rows as arm } from "./tables/constants_arm.ts";
import { rows as loongarch64 } from "./tables/constants_loongarch64.ts";
import { rows as mips } from "./tables/constants_mips.ts";
import { rows as mips64 } from "./tables/constants_mips64.ts";
import { rows as mips64n32 } from "./tables/constants_mips64n32.ts";
import { rows as ppc64le } from "./tables/constants_ppc64le.ts";
import { rows as riscv64 } from "./tables/constants_riscv64.ts";
import { rows as s390x } from "./tables/constants_s390x.ts";
import { rows as x32 } from "./tables/constants_x32.ts";
import { rows as x86 } from "./tables/constants_x86.ts";
import { rows as errnoRows } from "./tables/errnos.ts";

/** A name and its value on one ABI. */
export interface Constant {
  readonly name: string;
  readonly value: bigint;
}

/**
 * Where an ABI's values are others than x86_64's, which the tables for all names have: functions, so that a table
 * is read when it is asked for. Both byte orders of mips have the same.
 */
const differences: Readonly<Record<Exclude<AbiName, "x86_64">, () => string>> = {
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

/** What stands behind a name in a table that is not sorted: the errnos, by their numbers. */
function textIn(table: string, name: string): string | undefined {
  if (!/^\w+$/.test(name)) return undefined;
  const at = table.indexOf(`\n${name} `);
  if (at === -1) return undefined;
  const start = at + name.length + 2;
  return table.slice(start, table.indexOf("\n", start));
}

/**
 * What stands behind a name in a table that is sorted by names. A search in the text, by halves: most runs ask for few
 * names, and none for all. A row goes from behind one newline to the next one; there is one before the first row and
 * one behind the last.
 */
function textInSorted(table: string, name: string): string | undefined {
  // The row is one of those that begin in low..high.
  let low = 1;
  let high = table.length - 1;
  while (low < high) {
    const start = table.lastIndexOf("\n", Math.floor((low + high) / 2)) + 1;
    const end = table.indexOf("\n", start);
    const nameEnd = table.indexOf(" ", start);
    const found = table.slice(start, nameEnd);
    if (found === name) return table.slice(nameEnd + 1, end);
    if (found < name) low = end + 1;
    else high = start - 1;
  }
  return undefined;
}

function namesIn(table: string): readonly string[] {
  return readRows(table, 1).map(([name = ""]) => name);
}

/** The value on an ABI of a name with this text in one of the tables for all names; `-` is none. */
function valueFor(abi: AbiName, name: string, text: string | undefined): bigint | undefined {
  const own = abi === "x86_64" || text === undefined ? undefined : textInSorted(differences[abi](), name);
  const value = own ?? text;
  return value === undefined || value === "-" ? undefined : BigInt(value);
}

/**
 * The value of a constant, an errno's name among them; undefined where it is not known on this ABI, which is to
 * be refused and never guessed. Flags are positive; what C writes as a negative number (AT_FDCWD) is negative.
 */
export function constantValue(abi: AbiName, name: string): bigint | undefined {
  return valueFor(abi, name, textInSorted(constantRows, name) ?? textIn(errnoRows, name));
}

/** Whether any ABI has a constant of this name. */
export function isConstant(name: string): boolean {
  return textInSorted(constantRows, name) !== undefined || textIn(errnoRows, name) !== undefined;
}

/** Every constant's name, errnos' among them, sorted. */
export function constantNames(): readonly string[] {
  return [...namesIn(constantRows), ...namesIn(errnoRows)].sort();
}

const named = new Map<string, readonly Constant[]>();
let parsedRows: ReturnType<typeof readRows> | undefined;

/** The table taken apart, once: a printer asks for dozens of prefixes. */
function allRows(): ReturnType<typeof readRows> {
  parsedRows ??= readRows(constantRows, 1);
  return parsedRows;
}

/**
 * The constants of an ABI whose names begin so (`CLONE_`), sorted by value and then by name: what a printer
 * needs to name a value. Several names may have one value.
 */
export function constantsNamed(abi: AbiName, prefix: string): readonly Constant[] {
  const key = `${abi} ${prefix}`;
  const known = named.get(key);
  if (known !== undefined) return known;
  const found: Constant[] = [];
  // The table is sorted by names: those that begin alike are neighbours.
  const rows = allRows();
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.[0] ?? "") < prefix) low = middle + 1;
    else high = middle;
  }
  for (let at = low; rows[at]?.[0]?.startsWith(prefix) === true; at++) {
    const [name = "", rest = ""] = rows[at] ?? [];
    const value = valueFor(abi, name, rest);
    if (value !== undefined) found.push({ name, value });
  }
  found.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.name < b.name ? -1 : 1));
  named.set(key, found);
  return found;
}

/** The number of an errno (`EPERM`: 1), or undefined where this ABI has none of that name. */
export function errnoNumber(abi: AbiName, name: string): number | undefined {
  const value = valueFor(abi, name, textIn(errnoRows, name));
  return value === undefined ? undefined : Number(value);
}

const errnoNames = new Map<AbiName, ReadonlyMap<number, string>>();

/** The name of an errno (1: `EPERM`); of names with one value the kernel's first: EAGAIN, not EWOULDBLOCK. */
export function errnoName(abi: AbiName, value: number): string | undefined {
  let names = errnoNames.get(abi);
  if (names === undefined) {
    const made = new Map<number, string>();
    for (const name of namesIn(errnoRows)) {
      const number = errnoNumber(abi, name);
      if (number !== undefined && !made.has(number)) made.set(number, name);
    }
    names = made;
    errnoNames.set(abi, names);
  }
  return names.get(value);
}
