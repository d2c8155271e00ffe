/** What the supervisor is to look at in each call that a policy can refuse: the rows of a plan's report step. */
import { resolveSound } from "../policy/resolve.ts";
import { type Decisions, type ResolvedCall, type WordIndex, wordsOfArgument } from "../policy/resolved.ts";
import { fieldsOf } from "../policy/resolved-condition.ts";
import type { Action, Policy } from "../policy/types.ts";
import {
  type Abi,
  type AbiName,
  type Argument,
  argumentNamed,
  constantValue,
  multiplexedOf,
  syscallByNumber,
} from "../syscalls/index.ts";
import { visibleMatters } from "./narrow-selector.ts";
import { pathArguments } from "./path-arguments.ts";

export interface ReportRow {
  readonly abi: AbiName;
  /** AUDIT_ARCH_* */
  readonly arch: number;
  readonly nr: number;
  /** How many bits of each argument register tell questions apart: two bits each, for 0, 16, 32, 64. */
  readonly widths: number;
  /** Where that depends on what is asked for: the row is for calls with this value in this argument register (and 1), in its low half. */
  readonly only: { readonly register: number; readonly value: number } | undefined;
  /** The register that points to a path, and 1; 0 for none. */
  readonly text: number;
  /** The bits of each register by which kinds of denials are told apart. */
  readonly masks: readonly bigint[];
}

/**
 * Sorted by architecture and number; of several rows for one call the last is for what the others are not.
 * @throws TypeError where the policy has errors
 */
export function reportRows(policy: Policy, native: AbiName): readonly ReportRow[] {
  const rows = resolveSound(policy, native).abis.flatMap(({ abi, calls }) =>
    calls.filter(canBeRefused).flatMap((call) => rowsOf(abi, call)),
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

function rowsOf({ name: abi, arch, endian }: Abi, resolved: ResolvedCall): readonly ReportRow[] {
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
  const widthsWithout = (addresses: readonly string[]): number =>
    widthsOf(args.filter((one) => !addresses.includes(one.name) || isLookedAt(one)));
  const name = call?.name ?? "";
  const general: ReportRow = {
    ...{ abi, arch, nr, masks, text: textOf(call?.name, args), only: undefined },
    widths: widthsWithout(Object.hasOwn(addressLike, name) ? (addressLike[name] ?? []) : []),
  };
  const asks = resolved.entries.some(({ rule }) => rule.action.kind === "ask");
  const kinds = asks && Object.hasOwn(addressesFor, name) ? addressesFor[name] : undefined;
  const told = argumentNamed(args, kinds?.argument ?? "");
  if (kinds === undefined || told?.place.kind !== "word") return [general];
  const register = told.place.index + 1;
  const special = Object.entries(kinds.cases).flatMap(([constant, addresses]): readonly ReportRow[] => {
    const value = constantValue(abi, constant);
    if (value === undefined) return [];
    return [{ ...general, only: { register, value: Number(value) }, widths: widthsWithout(addresses) }];
  });
  return [...special, general];
}

/**
 * Arguments that are a number or an address, as another argument has it, or an address that nothing is read from. They make no
 * new question, unless a rule looks at them: the address of a buffer is another one each time.
 */
const addressLike: Readonly<Record<string, readonly string[]>> = {
  arch_prctl: ["addr"],
  brk: ["addr"],
  clone: ["stack", "tls"],
  fcntl: ["arg"],
  fcntl64: ["arg"],
  get_mempolicy: ["addr"],
  ioctl: ["arg"],
  madvise: ["addr"],
  map_shadow_stack: ["addr"],
  mbind: ["addr"],
  mincore: ["addr"],
  mlock: ["addr"],
  mlock2: ["addr"],
  mmap: ["addr"],
  mmap2: ["addr"],
  mprotect: ["addr"],
  mremap: ["old_address", "new_address"],
  mseal: ["start"],
  msync: ["addr"],
  munlock: ["addr"],
  munmap: ["addr"],
  pkey_mprotect: ["addr"],
  ptrace: ["addr", "data"],
  remap_file_pages: ["addr"],
  semctl: ["arg"],
  set_mempolicy_home_node: ["start"],
};

/** The same where another argument says which of them are addresses: with any other value of it they are numbers that count. */
const addressesFor: Readonly<
  Record<string, { readonly argument: string; readonly cases: Readonly<Record<string, readonly string[]>> }>
> = {
  prctl: {
    argument: "option",
    cases: {
      PR_GET_AUXV: ["arg2"],
      PR_GET_CHILD_SUBREAPER: ["arg2"],
      PR_GET_ENDIAN: ["arg2"],
      PR_GET_FPEMU: ["arg2"],
      PR_GET_FPEXC: ["arg2"],
      PR_GET_NAME: ["arg2"],
      PR_GET_PDEATHSIG: ["arg2"],
      PR_GET_SHADOW_STACK_STATUS: ["arg2"],
      PR_GET_TID_ADDRESS: ["arg2"],
      PR_GET_TSC: ["arg2"],
      PR_GET_UNALIGN: ["arg2"],
      PR_SCHED_CORE: ["arg5"],
      PR_SET_MM: ["arg3"],
      PR_SET_NAME: ["arg2"],
      PR_SET_SECCOMP: ["arg3"],
      PR_SET_SYSCALL_USER_DISPATCH: ["arg3", "arg5"],
      PR_SET_VMA: ["arg3", "arg5"],
    },
  },
  keyctl: {
    argument: "operation",
    cases: {
      KEYCTL_CAPABILITIES: ["arg2"],
      KEYCTL_DESCRIBE: ["arg3"],
      KEYCTL_DH_COMPUTE: ["arg2", "arg3", "arg5"],
      KEYCTL_GET_SECURITY: ["arg3"],
      KEYCTL_INSTANTIATE: ["arg3"],
      KEYCTL_INSTANTIATE_IOV: ["arg3"],
      KEYCTL_JOIN_SESSION_KEYRING: ["arg2"],
      KEYCTL_PKEY_DECRYPT: ["arg2", "arg3", "arg4", "arg5"],
      KEYCTL_PKEY_ENCRYPT: ["arg2", "arg3", "arg4", "arg5"],
      KEYCTL_PKEY_QUERY: ["arg4", "arg5"],
      KEYCTL_PKEY_SIGN: ["arg2", "arg3", "arg4", "arg5"],
      KEYCTL_PKEY_VERIFY: ["arg2", "arg3", "arg4", "arg5"],
      KEYCTL_READ: ["arg3"],
      KEYCTL_RESTRICT_KEYRING: ["arg3", "arg4"],
      KEYCTL_SEARCH: ["arg3", "arg4"],
      KEYCTL_UPDATE: ["arg3"],
    },
  },
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
