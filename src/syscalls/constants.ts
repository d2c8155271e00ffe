/**
 * Names for numbers, with the value that each ABI's kernel gives them. Where the C library and the kernel
 * disagree (O_LARGEFILE, SIGRTMIN) the kernel's counts: the filter sees what the kernel sees.
 */
import { type AbiName, abis } from "./abi.ts";
import { readRows } from "./parse.ts";
import { rows as constantRows } from "./tables/constants.ts";
import { rows as errnoRows } from "./tables/errnos.ts";

/** A name and its value on one ABI. */
export interface Constant {
  readonly name: string;
  readonly value: bigint;
}

/** One text for all ABIs, or one for each in the order of `abis`; `-` where an ABI has no such name. */
type Values = readonly string[];

/** The values of one name. A search in the text: most runs ask for few names, and none for all. */
function valuesIn(table: string, name: string): Values | undefined {
  if (!/^\w+$/.test(name)) return undefined;
  const at = table.indexOf(`\n${name} `);
  if (at === -1) return undefined;
  const start = at + name.length + 2;
  return table.slice(start, table.indexOf("\n", start)).split(" ");
}

function namesIn(table: string): readonly string[] {
  return readRows(table, 1).map(([name = ""]) => name);
}

function valueFor(abi: AbiName, values: Values | undefined): bigint | undefined {
  if (values === undefined) return undefined;
  const text = values.length === 1 ? values[0] : values[abis.findIndex(({ name }) => name === abi)];
  return text === undefined || text === "-" ? undefined : BigInt(text);
}

/**
 * The value of a constant, an errno's name among them; undefined where it is not known on this ABI, which is to
 * be refused and never guessed. Flags are positive; what C writes as a negative number (AT_FDCWD) is negative.
 */
export function constantValue(abi: AbiName, name: string): bigint | undefined {
  return valueFor(abi, valuesIn(constantRows, name) ?? valuesIn(errnoRows, name));
}

/** Whether any ABI has a constant of this name. */
export function isConstant(name: string): boolean {
  return valuesIn(constantRows, name) !== undefined || valuesIn(errnoRows, name) !== undefined;
}

/** Every constant's name, errnos' among them, sorted. */
export function constantNames(): readonly string[] {
  return [...namesIn(constantRows), ...namesIn(errnoRows)].sort();
}

const named = new Map<string, readonly Constant[]>();

/**
 * The constants of an ABI whose names begin so (`CLONE_`), sorted by value and then by name: what a printer
 * needs to name a value. Several names may have one value.
 */
export function constantsNamed(abi: AbiName, prefix: string): readonly Constant[] {
  const key = `${abi} ${prefix}`;
  const known = named.get(key);
  if (known !== undefined) return known;
  const found: Constant[] = [];
  for (const [name = "", rest = ""] of readRows(constantRows, 1)) {
    if (!name.startsWith(prefix)) continue;
    const value = valueFor(abi, rest.split(" "));
    if (value !== undefined) found.push({ name, value });
  }
  found.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.name < b.name ? -1 : 1));
  named.set(key, found);
  return found;
}

/** The number of an errno (`EPERM`: 1), or undefined where this ABI has none of that name. */
export function errnoNumber(abi: AbiName, name: string): number | undefined {
  const value = valueFor(abi, valuesIn(errnoRows, name));
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
