/** What the supervisor is to look at in each call that a policy can refuse: the rows of a plan's report step. */
import { resolveSound } from "../policy/resolve.ts";
import { type Decisions, type ResolvedCall, type WordIndex, wordsOfArgument } from "../policy/resolved.ts";
import { fieldsOf } from "../policy/resolved-condition.ts";
import type { Action, Policy } from "../policy/types.ts";
import { type Abi, type AbiName, type Argument, multiplexedOf, syscallByNumber } from "../syscalls/index.ts";
import { visibleMatters } from "./narrow-selector.ts";
import { pathArguments } from "./path-arguments.ts";

export interface ReportRow {
  readonly abi: AbiName;
  /** AUDIT_ARCH_* */
  readonly arch: number;
  readonly nr: number;
  /** How many bits of each argument register tell questions apart: two bits each, for 0, 16, 32, 64. */
  readonly widths: number;
  /** The register that points to a path, and 1; 0 for none. */
  readonly text: number;
  /** The bits of each register by which kinds of denials are told apart. */
  readonly masks: readonly bigint[];
}

/** Sorted by architecture and number. @throws TypeError where the policy has errors */
export function reportRows(policy: Policy, native: AbiName): readonly ReportRow[] {
  const rows = resolveSound(policy, native).abis.flatMap(({ abi, calls }) =>
    calls.filter(canBeRefused).map((call) => rowOf(abi, call)),
  );
  return rows.sort((a, b) => a.arch - b.arch || a.nr - b.nr);
}

function canBeRefused(call: ResolvedCall): boolean {
  return isRefusing(call) || (call.behind?.calls.some(isRefusing) ?? false);
}

function isRefusing({ entries, fallback }: Decisions): boolean {
  const refuses = ({ kind }: Action): boolean => kind === "errno" || kind === "ask";
  return refuses(fallback.action) || entries.some(({ rule }) => refuses(rule.action));
}

function rowOf({ name: abi, arch, endian }: Abi, resolved: ResolvedCall): ReportRow {
  const { nr } = resolved;
  const call = syscallByNumber(abi, nr);
  const args = call?.args ?? [];
  const masks = [0n, 0n, 0n, 0n, 0n, 0n];
  for (const { field, bits } of visibleMatters(abi, call?.name ?? "", args))
    if (field.place.kind === "word") masks[field.place.index] = (masks[field.place.index] ?? 0n) | bits;
  // A multiplexer tells its calls apart by one of its words.
  const behind = multiplexedOf(abi).find(({ multiplexer }) => multiplexer === call?.name);
  if (behind !== undefined) {
    const { index, mask } = behind.selector;
    masks[index] = (masks[index] ?? 0n) | BigInt(mask);
  }
  const looked = wordsLookedAt(resolved);
  const isLookedAt = ({ place }: Argument): boolean => {
    if (place.kind !== "word") return true;
    const { low, high } = wordsOfArgument(place.index, endian);
    return looked.has(low) || looked.has(high);
  };
  const addresses = Object.hasOwn(addressLike, call?.name ?? "") ? addressLike[call?.name ?? ""] : undefined;
  const told = args.filter((one) => addresses?.includes(one.name) !== true || isLookedAt(one));
  return { abi, arch, nr, widths: widthsOf(told), text: textOf(call?.name, args), masks };
}

/**
 * Arguments that are a number or an address, as another argument has it, or an address that nothing is read from. They make no
 * new question, unless a rule looks at them: the address of a buffer is another one each time.
 */
const addressLike: Readonly<Record<string, readonly string[]>> = {
  arch_prctl: ["addr"],
  clone: ["stack", "tls"],
  fcntl: ["arg"],
  fcntl64: ["arg"],
  ioctl: ["arg"],
  madvise: ["addr"],
  mmap: ["addr"],
  mmap2: ["addr"],
  mprotect: ["addr"],
  ptrace: ["addr", "data"],
  semctl: ["arg"],
};

/** The words that any rule on a call has a condition on. */
function wordsLookedAt(call: ResolvedCall): ReadonlySet<WordIndex> {
  const all = [call, ...(call.behind?.calls ?? [])].flatMap(({ entries }) =>
    entries.flatMap(({ condition }) => fieldsOf(condition)),
  );
  return new Set(all.flatMap(({ low, high }) => (high === undefined ? [low] : [low, high])));
}

function widthsOf(args: readonly Argument[]): number {
  const widths = [0, 0, 0, 0, 0, 0];
  for (const { kind, place, width } of args) {
    if (kind === "pointer") continue;
    if (place.kind === "word") widths[place.index] = Math.max(widths[place.index] ?? 0, codeOf(width));
    if (place.kind !== "words") continue;
    widths[place.low] = codeOf(32);
    widths[place.high] = codeOf(32);
  }
  return widths.reduce((sum, code, index) => sum | (code << (2 * index)), 0);
}

function codeOf(width: Argument["width"]): number {
  return width === 16 ? 1 : width === 32 ? 2 : 3;
}

function textOf(call: string | undefined, args: readonly Argument[]): number {
  const [path] =
    (call !== undefined && Object.hasOwn(pathArguments, call) ? pathArguments[call] : undefined) ?? [];
  const found = args.find(({ name }) => name === path?.[0]);
  return found?.place.kind === "word" ? found.place.index + 1 : 0;
}
