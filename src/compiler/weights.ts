/**
 * What the trees of a filter are made good for.
 *
 * - `kernel`: since Linux 5.11 the kernel keeps in its action cache which numbers are allowed whatever their arguments,
 *   and never runs the filter for these. Only calls that are refused, or whose arguments are looked at, have a path.
 * - `classic`: kernels without that cache run the filter for every call: paths are short by how often calls are made.
 * - `size`: as few instructions as can be; paths count only between trees of one size.
 */
import { RET_ALLOW } from "../bpf/index.ts";
import { firstX32Number, wordOfNumber } from "../policy/resolved.ts";
import type { Abi } from "../syscalls/index.ts";
import { frequencies } from "./frequencies.ts";
import { type ChoiceNode, childrenFirst, type Node, type Segment, wholeWord } from "./graph.ts";
import type { Range } from "./search-tree.ts";

export type Optimize = "kernel" | "size" | "classic";

export interface Weights {
  /** What a test costs by being there, where all that is looked for weighs 1 together. */
  readonly perTest: number;
  /** The ranges of a choice with their weights; `arch` is the architecture value that it stands behind. */
  readonly ranges: (node: ChoiceNode, arch: number | undefined) => readonly Range[];
}

/** Numbers from here on are no calls yet, and rare. */
const firstUnusedNumber = 512;
/** The share of all calls from which on a number counts as called often. */
const hotShare = 0.01;
/** What a call whose arguments are looked at weighs on average, where all numbers that are refused weigh 1 together. */
const checkedWeight = 0.6;
/** The same for all that the cache holds: the kernel runs the filter once for each of them, to find out. */
const cachedWeight = 0.07;

/** The share of a test in what a choice costs. */
const perTest: Readonly<Record<Optimize, number>> = {
  kernel: 0.03,
  size: 1,
  classic: 0.001,
};

/** The calls of an ABI, by number. */
export interface NumberedCalls {
  readonly abi: Abi;
  readonly calls: readonly { readonly nr: number; readonly name: string | undefined }[];
}

/**
 * @param abis those that the filter has numbers of
 * @throws TypeError where a filter cannot be made good for that
 */
export function weightsFor(optimize: Optimize, abis: readonly NumberedCalls[]): Weights {
  if (!Object.hasOwn(perTest, optimize))
    throw new TypeError(
      `there is no optimization ${JSON.stringify(optimize)}: optimizations are ${Object.keys(perTest).join(", ")}`,
    );
  const byArch = optimize === "classic" ? frequenciesByArch(abis) : new Map<number, Frequencies>();
  return {
    perTest: perTest[optimize],
    ranges: (node, arch) => {
      const { frequencyOf, hot } = byArch.get(arch ?? 0) ?? noFrequencies;
      const isNumber = node.word === wordOfNumber;
      const ranges = isNumber ? withHotNumbers(rangesOf(node.segments), hot) : rangesOf(node.segments);
      // Where only x32's numbers come, the range at 0 stands for nothing.
      const isX32 = (node.segments[1]?.start ?? 0) >= firstX32Number;
      const counted = isX32 ? ranges.map(withoutX32Bit) : ranges;
      const weights = !isNumber
        ? ranges.map(() => 1)
        : optimize === "classic"
          ? ranges.map((range, index) =>
              frequencyIn(range, usedNumbers(counted[index] ?? range), frequencyOf),
            )
          : weightsWithoutCache(counted, node.segments);
      const total = weights.reduce((sum, one) => sum + one, 0);
      // For size, time only decides between trees that are equally small.
      const scale = (optimize === "size" ? 0.001 : 1) / (total === 0 ? 1 : total);
      return ranges.map((range, index) => ({ ...range, weight: (weights[index] ?? 0) * scale }));
    },
  };
}

/** The segments of a choice as ranges without weights. */
export function rangesOf(segments: readonly Segment[]): readonly Range[] {
  return segments.map(({ start, node }, index) => ({
    first: start,
    last: (segments[index + 1]?.start ?? wholeWord + 1) - 1,
    destination: node.id,
    weight: 0,
  }));
}

/** Numbers that are called often stand by themselves, so that they can be found before their neighbours. */
function withHotNumbers(ranges: readonly Range[], hot: readonly number[]): readonly Range[] {
  const ordered = [...hot].sort((a, b) => a - b);
  return ranges.flatMap((range) => {
    const pieces: Range[] = [];
    let { first } = range;
    for (const number of ordered) {
      if (number < first || number > range.last) continue;
      if (first < number) pieces.push({ ...range, first, last: number - 1 });
      pieces.push({ ...range, first: number, last: number });
      first = number + 1;
    }
    return first <= range.last ? [...pieces, { ...range, first }] : pieces;
  });
}

function withoutX32Bit(range: Range): Range {
  const first = Math.max(0, range.first - firstX32Number);
  return { ...range, first, last: range.last - firstX32Number };
}

/** The numbers of a range that are calls or may become some. */
function usedNumbers({ first, last }: Range): number {
  return Math.max(0, Math.min(last, firstUnusedNumber - 1) - first + 1);
}

/** By range, for a kernel that never runs the filter for what its cache holds. */
function weightsWithoutCache(ranges: readonly Range[], segments: readonly Segment[]): readonly number[] {
  const kinds = ranges.map((_, index) => {
    const node = segments[index]?.node;
    if (node?.kind !== "leaf") return "checked";
    return node.returnValue === RET_ALLOW ? "cached" : "refused";
  });
  // A call of many cases is made in many ways: fcntl and ioctl more often than personality.
  const cases = segments.map(({ node }) => (node.kind === "leaf" ? 0 : Math.sqrt(testsIn(node))));
  const meanCases = cases.reduce((sum, one) => sum + one, 0) / cases.filter((one) => one > 0).length;
  const used = ranges.map(usedNumbers);
  const sumOf = (kind: string): number =>
    used.reduce((sum, count, index) => (kinds[index] === kind ? sum + count : sum), 0);
  const weight = {
    refused: 1 / Math.max(1, sumOf("refused")),
    cached: cachedWeight / Math.max(1, sumOf("cached")),
  };
  return used.map((count, index) => {
    const kind = kinds[index] ?? "checked";
    return count * (kind === "checked" ? (checkedWeight * (cases[index] ?? 0)) / meanCases : weight[kind]);
  });
}

/** How many questions are asked of the arguments. */
function testsIn(node: Node): number {
  return childrenFirst(node).filter(({ kind }) => kind !== "leaf").length;
}

/** How often the numbers of a range are called, with a little for each so that no path is without bound. */
function frequencyIn(range: Range, used: number, frequencyOf: ReadonlyMap<number, number>): number {
  let sum = used * 0.1;
  for (const [number, frequency] of frequencyOf) {
    if (number >= range.first && number <= range.last) sum += frequency;
  }
  return sum;
}

/** How often the numbers of an architecture are called, and which of them often. */
interface Frequencies {
  readonly frequencyOf: ReadonlyMap<number, number>;
  readonly hot: readonly number[];
}

const noFrequencies: Frequencies = { frequencyOf: new Map(), hot: [] };

function frequenciesByArch(abis: readonly NumberedCalls[]): ReadonlyMap<number, Frequencies> {
  const byArch = new Map<number, Map<number, number>>();
  for (const { abi, calls } of abis) {
    // x32 has x86_64's architecture value, and next to none of its calls.
    if (abi.numberBase === firstX32Number) continue;
    const found = byArch.get(abi.arch) ?? new Map<number, number>();
    byArch.set(abi.arch, found);
    for (const { nr, name } of calls) {
      const frequency = name === undefined ? undefined : frequencies[name];
      if (frequency !== undefined) found.set(nr, frequency);
    }
  }
  return new Map(
    [...byArch].map(([arch, frequencyOf]) => {
      const often = [...frequencyOf.values()].reduce((sum, one) => sum + one, 0) * hotShare;
      const hot = [...frequencyOf].flatMap(([number, frequency]) => (frequency > often ? [number] : []));
      return [arch, { frequencyOf, hot }];
    }),
  );
}
