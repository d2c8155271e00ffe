/**
 * A list of constants, as text: names, or `PREFIX_*` for all that begin so; `-NAME` and `-PREFIX_*` leave some out.
 *
 *   F_* -F_RDLCK -F_SEAL_*      the commands of fcntl, without what its other arguments are called
 */
import type { AbiName } from "./abi.ts";
import { type Constant, constantsNamed, constantValue } from "./constants.ts";

const lists = new Map<string, readonly Constant[]>();

/** The constants of a list, in its order. */
export function constantsOf(abi: AbiName, list: string): readonly Constant[] {
  const key = `${abi} ${list}`;
  const known = lists.get(key);
  if (known !== undefined) return known;
  const words = list.split(" ");
  const left = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
  const isLeft = (name: string): boolean =>
    left.some((word) => (word.endsWith("*") ? name.startsWith(word.slice(0, -1)) : name === word));
  const found = words
    .filter((word) => !word.startsWith("-"))
    .flatMap((word) => expand(abi, word))
    .filter(({ name }) => !isLeft(name));
  lists.set(key, found);
  return found;
}

function expand(abi: AbiName, word: string): readonly Constant[] {
  if (word.endsWith("*")) return constantsNamed(abi, word.slice(0, -1));
  const value = constantValue(abi, word);
  return value === undefined ? [] : [{ name: word, value }];
}
