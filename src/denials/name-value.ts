/** Names for an argument's value: as a value of the policy language, so that it can be shown and put in a rule. */
import type { Value } from "../policy/types.ts";
import { type AbiName, type Constant, constantsOf, constantValue } from "../syscalls/index.ts";
import type { ArgumentKind } from "./argument-kinds.ts";

/** `A | B`, `0xff` or a name, as a number. */
export function maskValue(abi: AbiName, mask: string): bigint {
  return mask
    .split(" | ")
    .reduce((sum, word) => sum | (/^\d/.test(word) ? BigInt(word) : (constantValue(abi, word) ?? 0n)), 0n);
}

export const integer = (value: bigint): Value =>
  value < 0n ? { kind: "negative", item: { kind: "integer", value: -value } } : { kind: "integer", value };
export const constant = (name: string): Value => ({ kind: "constant", name });

/**
 * A value by the names of its kind. What has no name stays a number; so does a value with a bit that has none.
 * @param others the values of the call's other arguments, for kinds that depend on one
 */
export function nameValue(
  abi: AbiName,
  kind: ArgumentKind | undefined,
  value: bigint,
  others: (argument: string) => string | undefined = () => undefined,
): Value {
  if (kind === undefined) return integer(value);
  switch (kind.kind) {
    case "octal":
      return integer(value);
    case "by": {
      const name = others(kind.argument);
      const found = name !== undefined && Object.hasOwn(kind.cases, name) ? kind.cases[name] : undefined;
      return nameValue(abi, found, value);
    }
    case "one": {
      const found = constantsOf(abi, kind.names).find((one) => one.value === value);
      return found === undefined ? integer(value) : constant(found.name);
    }
    case "flags":
      return nameFlags(abi, kind, value);
  }
}

function nameFlags(abi: AbiName, kind: ArgumentKind & { kind: "flags" }, value: bigint): Value {
  // A negative number is not a set of bits.
  if (value < 0n) return integer(value);
  const names: string[] = [];
  let left = value;
  const { base } = kind;
  if (base !== undefined) {
    const mask = maskValue(abi, base.mask);
    const part = value & mask;
    const named = constantsOf(abi, base.names).find((one) => one.value === part);
    // Zero that has a name is shown where it says something: O_RDONLY always, PROT_NONE when it is all.
    const isShown = named !== undefined && (mask !== 0n || value === 0n);
    if (isShown) names.push(named.name);
    if (isShown || part === 0n) left &= ~mask;
  }
  // Names of several bits first: O_SYNC before O_DSYNC, O_TMPFILE before O_DIRECTORY.
  const candidates = [...constantsOf(abi, kind.flags)].sort((a, b) => bitCount(b.value) - bitCount(a.value));
  const found: Constant[] = [];
  for (const one of candidates) {
    if (one.value <= 0n || (left & one.value) !== one.value) continue;
    found.push(one);
    left &= ~one.value;
  }
  found.sort((a, b) => (a.value < b.value ? -1 : 1));
  names.push(...found.map(({ name }) => name));
  if (names.length === 0) return integer(value);
  const items = [...names.map(constant), ...(left === 0n ? [] : [integer(left)])];
  const [first] = items;
  return items.length === 1 && first !== undefined ? first : { kind: "union", items };
}

function bitCount(value: bigint): number {
  return value.toString(2).replaceAll("0", "").length;
}
