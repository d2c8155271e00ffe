/** Policies made to be hard for a compiler and for a proof, each of its own kind. */
import { syscallsOf } from "../../src/syscalls/index.ts";
import { fileOf, target } from "../policy/reading.ts";

export const count = (length: number): readonly number[] => [...Array(length).keys()];
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** Multiplies and adds: numbers without a pattern, the same in each run. */
function scattered(index: number): number {
  return Math.imul(index + 1, 0x9e37_79b9) >>> 0;
}

const withArguments = syscallsOf(target).filter(
  ({ args, since }) =>
    since !== undefined && args?.some(({ kind, place }) => kind === "integer" && place.kind === "word"),
);

const conditions = withArguments.map(({ name, args }, i) => {
  const arg = args?.find(({ kind, place }) => kind === "integer" && place.kind === "word");
  return `allow ${name}(${arg?.name} in {${i % 90}..${(i % 90) + 20}, 3${i % 10}})`;
});

const hardRules: Readonly<Record<string, string>> = {
  "twenty rules of two arguments that multiply": count(20)
    .map((i) => `${i % 2 === 0 ? "allow" : "errno(2)"} prctl(arg2 & ${hex(1 << i)} && arg3 & ${hex(1 << i)})`)
    .join("\n"),
  "twenty rules of three arguments, each bit against another": count(20)
    .map(
      (i) =>
        `errno(${i}) prctl(arg2 & ${hex(1 << i)} && arg3 & ${hex(1 << (19 - i))} && arg4 & ${hex(1 << ((i * 7) % 20))})`,
    )
    .join("\n"),
  "ranges that interleave over two arguments": count(40)
    .map(
      (i) =>
        `errno(${i % 5}) dup3(oldfd in {${i * 10}..${i * 10 + 400}} && newfd in {${i * 7}..${i * 7 + 300}})`,
    )
    .join("\n"),
  "masks over masks": count(30)
    .map(
      (i) =>
        `errno(${i % 3}) personality((persona & ${hex(scattered(i))}) == ${hex(scattered(i) & scattered(i + 7))})`,
    )
    .join("\n"),
  "a thousand masks over masks": count(1000)
    .map(
      (i) =>
        `errno(${i % 3}) personality((persona & ${hex(scattered(i))}) == ${hex(scattered(i) & scattered(i + 7))})`,
    )
    .join("\n"),
  "masks and ranges over one word of 64 bits": count(16)
    .map(
      (i) =>
        `errno(${i % 3}) prctl((arg2 & ${hex(scattered(i))}) in {${hex(scattered(i) & 0xff00)}..${hex((scattered(i) & 0xff00) | 0xffff)}} || arg2 > 0x1_0000_0000)`,
    )
    .join("\n"),
  "every call with a condition": conditions.join("\n"),
  "a thousand values of one argument": count(1000)
    .map((i) => `${i % 2 === 0 ? "allow" : "deny"} personality(persona == ${hex(scattered(i))})`)
    .join("\n"),
};

/** Policy files, by what is hard about them. */
export const hardPolicies: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(hardRules).map(([name, rules]) => [name, fileOf(rules)])),
  "six hundred calls of two ABIs with a condition each": fileOf(
    conditions.join("\n"),
    'abis = ["x86_64", "x86"]',
  ),
};
