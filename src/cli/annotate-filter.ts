/**
 * What the instructions of a filter are about, in the words of system calls.
 *
 *       3  jge   0x103 ? 4 : 79        ; nr from mknodat on
 *      34  ld    [16]                  ; socket: domain
 *      35  jeq   0x2 ? 38 : 39         ; socket: domain AF_INET
 *      38  ret   ERRNO(16)             ; EBUSY: socket
 *
 * The known calls are carried through the program at once: each test of the number or the architecture divides them,
 * and whatever else it tests lets all of them pass on both ways. So a row knows which calls may come to it.
 */
import {
  ALU_AND_K,
  type Annotate,
  ARCH_OFFSET,
  ARGUMENTS_OFFSET,
  actionOf,
  dataOf,
  dataWordName,
  type Endianness,
  type Instruction,
  isConditionalJump,
  JA,
  JEQ_K,
  JGE_K,
  JGT_K,
  JSET_K,
  LD_W_ABS,
  type ListingRow,
  NR_OFFSET,
  RET_ALLOW,
  RET_ERRNO,
  RET_K,
  ST,
  STX,
  TAX,
} from "../bpf/index.ts";
import { type Abi, type Argument, abis, errnoName, type Syscall, syscallsOf } from "../syscalls/index.ts";
import { type NamedValue, numberOf } from "./policy-constants.ts";

/** A call on its ABI. */
interface KnownCall {
  readonly abi: Abi;
  readonly call: Syscall;
}

/** What A holds: a word of the call's data, and the bits of it that are left. */
interface Held {
  readonly offset: number;
  readonly mask: number;
}

/** What is known before an instruction. */
interface State {
  readonly calls: ReadonlySet<KnownCall>;
  readonly held: Held | undefined;
}

const wholeWord = 0xffffffff;
/** More names than this on one line help nobody. */
const mostNames = 3;

/**
 * Comments for the listing of a program.
 * @param machine the kernel that the program is for: its ABIs are the ones whose calls are named
 * @param constants what the policy calls the numbers that it compares with
 */
export function annotateFilter(
  instructions: readonly Instruction[],
  machine: Abi["machine"],
  constants: readonly NamedValue[] = [],
): Annotate {
  const states = statesBefore(instructions, machine);
  const endian = abis.find((abi) => abi.machine === machine)?.endian ?? "little";
  return (row) => {
    const state = states[row.index];
    return state === undefined ? undefined : commentOf(row, state, endian, constants);
  };
}

function statesBefore(
  instructions: readonly Instruction[],
  machine: Abi["machine"],
): readonly (State | undefined)[] {
  const all = new Set(
    abis
      .filter((abi) => abi.machine === machine)
      .flatMap((abi) => syscallsOf(abi.name).map((call): KnownCall => ({ abi, call }))),
  );
  const states: (State | undefined)[] = instructions.map(() => undefined);
  states[0] = { calls: all, held: undefined };
  const meet = (target: number, state: State): void => {
    const before = states[target];
    if (target >= states.length) return;
    states[target] =
      before === undefined
        ? state
        : {
            calls: new Set([...before.calls, ...state.calls]),
            held: sameHeld(before.held, state.held) ? before.held : undefined,
          };
  };
  for (const [index, step] of instructions.entries()) {
    const state = states[index];
    if (state === undefined) continue;
    const { code, jt, jf, k } = step;
    if (code === RET_K || (code & 0x07) === 0x06) continue;
    if (code === JA) meet(index + 1 + k, state);
    else if (isConditionalJump(code)) {
      meet(index + 1 + jt, { ...state, calls: passing(state, step, true) });
      meet(index + 1 + jf, { ...state, calls: passing(state, step, false) });
    } else meet(index + 1, { ...state, held: heldAfter(state.held, step) });
  }
  return states;
}

function sameHeld(one: Held | undefined, other: Held | undefined): boolean {
  return one?.offset === other?.offset && one?.mask === other?.mask;
}

function heldAfter(held: Held | undefined, { code, k }: Instruction): Held | undefined {
  if (code === LD_W_ABS) return { offset: k, mask: wholeWord };
  if (code === ALU_AND_K && held !== undefined) return { ...held, mask: (held.mask & k) >>> 0 };
  // What only writes elsewhere leaves A as it is.
  return code === ST || code === STX || code === TAX || (code & 0x07) === 0x01 ? held : undefined;
}

/** The calls with which a test goes one way; all of them where it tests something else than which call it is. */
function passing({ calls, held }: State, { code, k }: Instruction, way: boolean): ReadonlySet<KnownCall> {
  if (held === undefined || (held.offset !== NR_OFFSET && held.offset !== ARCH_OFFSET)) return calls;
  const outcome = (value: number): boolean | undefined => {
    switch (code) {
      case JEQ_K:
        return value === k;
      case JGT_K:
        return value > k;
      case JGE_K:
        return value >= k;
      case JSET_K:
        return (value & k) !== 0;
      default:
        return undefined;
    }
  };
  return new Set(
    [...calls].filter((one) => {
      const word = held.offset === NR_OFFSET ? one.call.nr : one.abi.arch;
      return outcome((word & held.mask) >>> 0) !== !way;
    }),
  );
}

function commentOf(
  row: ListingRow,
  state: State,
  endian: Endianness,
  constants: readonly NamedValue[],
): string | undefined {
  const { code, k } = row.instruction;
  if (code === LD_W_ABS) return k < ARGUMENTS_OFFSET ? dataWordName(k) : argumentWord(k, state, endian);
  if (code === RET_K) return returned(k, state);
  if (!isConditionalJump(code) || state.held === undefined) return undefined;
  const { offset, mask } = state.held;
  if (offset === ARCH_OFFSET && mask === wholeWord) return abisWithArch(k, state);
  if (offset === NR_OFFSET && mask === wholeWord) return numberTest(code, k, state);
  if (offset < ARGUMENTS_OFFSET) return undefined;
  const word = argumentWord(offset, state, endian);
  const name = constantName(k, offset, state, constants);
  return name === undefined || word === undefined ? word : `${word} ${name}`;
}

/** What the policy calls a number, where it is the same for every call that comes here. */
function constantName(
  k: number,
  offset: number,
  { calls }: State,
  constants: readonly NamedValue[],
): string | undefined {
  const word = (offset - ARGUMENTS_OFFSET) / 4;
  const texts = new Set(
    [...calls].map(({ abi, call }) => {
      const found = argumentAt(call, word);
      if (found === undefined) return undefined;
      const { argument, shift } = found;
      return constants.find(({ argument: name, value }) => {
        if (name !== argument.name && !argument.aliases.includes(name)) return false;
        const number = numberOf(value, abi.name);
        return number !== undefined && BigInt.asUintN(32, number >> shift(abi)) === BigInt(k);
      })?.text;
    }),
  );
  const [text] = texts;
  return texts.size === 1 ? text : undefined;
}

/** The argument that a 32-bit word belongs to, and by how many bits its value is shifted there. */
function argumentAt(
  call: Syscall,
  word: number,
): { readonly argument: Argument; readonly shift: (abi: Abi) => bigint } | undefined {
  const register = word >> 1;
  for (const argument of call.args ?? []) {
    const { place } = argument;
    if (place.kind === "words" && register === place.low) return { argument, shift: () => 0n };
    if (place.kind === "words" && register === place.high) return { argument, shift: () => 32n };
    if (place.kind === "word" && register === place.index)
      return { argument, shift: (abi) => ((word & 1) === (abi.endian === "little" ? 0 : 1) ? 0n : 32n) };
  }
  return undefined;
}

function abisWithArch(arch: number, { calls }: State): string | undefined {
  const names = [...calls].filter(({ abi }) => abi.arch === arch).map(({ abi }) => abi.name);
  return names.length === 0 ? undefined : [...new Set(names)].join(", ");
}

function numberTest(code: number, k: number, { calls }: State): string | undefined {
  const first = code === JGT_K ? k + 1 : k;
  if (code !== JEQ_K && first === x32Numbers) return "nr of x32";
  if (code !== JEQ_K && first === 0x80000000) return "nr below zero";
  if (code === JSET_K) return undefined;
  const named = namesOf([...calls].filter(({ call }) => call.nr === first));
  if (named === undefined) return undefined;
  return code === JEQ_K ? named : `nr from ${named} on`;
}

const x32Numbers = abis.find((abi) => abi.name === "x32")?.numberBase;

/** Names of calls, each once; undefined where there are none. */
function namesOf(calls: readonly KnownCall[]): string | undefined {
  const names = [...new Set(calls.map(({ call }) => call.name))];
  if (names.length === 0) return undefined;
  const shown = names.slice(0, mostNames).join(", ");
  return names.length > mostNames ? `${shown} and ${names.length - mostNames} more` : shown;
}

/** `socket: domain`; where several calls come here with different arguments in this word, its place. */
function argumentWord(offset: number, { calls }: State, endian: Endianness): string | undefined {
  const word = (offset - ARGUMENTS_OFFSET) / 4;
  const labels = new Set([...calls].map((one) => argumentLabel(one, word)));
  const [label] = labels;
  const plain = dataWordName(offset, endian);
  if (labels.size !== 1 || label === undefined) return plain;
  const names = new Set([...calls].map(({ call }) => call.name));
  return names.size > mostNames ? `${plain}: ${label}` : `${[...names].join(", ")}: ${label}`;
}

/** The argument that a 32-bit word belongs to, with its half where it is one of two that count. */
function argumentLabel({ abi, call }: KnownCall, word: number): string | undefined {
  const found = argumentAt(call, word);
  if (found === undefined) return undefined;
  const { name, place, width } = found.argument;
  const isLow = found.shift(abi) === 0n;
  if (place.kind === "words" || width === 64) return `${name}, ${isLow ? "low" : "high"} half`;
  return isLow ? name : `${name}, bits that the kernel ignores`;
}

/** What a return means: the errno's name, and the calls that come to it where they are few. */
function returned(value: number, { calls }: State): string | undefined {
  const names = new Set([...calls].map(({ call }) => call.name));
  const few = names.size <= mostNames ? namesOf([...calls]) : undefined;
  if (actionOf(value) !== RET_ERRNO) return actionOf(value) === RET_ALLOW ? undefined : few;
  const [first] = calls;
  const errno = errnoName(first?.abi.name ?? "x86_64", dataOf(value));
  if (errno === undefined) return few;
  return few === undefined ? errno : `${errno}: ${few}`;
}
