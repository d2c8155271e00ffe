/** What a filter, or a stack of filters, allows, refuses and overlooks: told from its decisions, not from its shape. */
import {
  type Filter,
  type Instruction,
  isCacheable,
  isConditionalJump,
  isReturn,
  JA,
  RET_ALLOW,
  strictness,
} from "../bpf/index.ts";
import { printAction } from "../policy/action.ts";
import type { ToldCondition } from "../policy/types.ts";
import { type Abi, type AbiName, abis, type Syscall, syscallByName, syscallsOf } from "../syscalls/index.ts";
import { negationOf, orderedAlternativesOf, TellingLimit, TooManyConditions } from "./conditions.ts";
import { DecisionMaker } from "./decisions.ts";
import { TooManyNodes } from "./diagram.ts";
import { UndecidedError } from "./diff.ts";
import { UnreadableFilter } from "./filter.ts";
import { actionOfReturnValue } from "./meaning.ts";
import { type Partition, Partitions, relatesOf } from "./partition.ts";
import { partitionOfSide, sideOf } from "./side.ts";
import { tellCondition } from "./told.ts";
import { writtenCall } from "./written-call.ts";

export interface Inspection {
  /** The oldest first. */
  readonly filters: readonly InspectedFilter[];
  readonly abis: readonly InspectedAbi[];
  /** What calls of an architecture get that no known ABI has. */
  readonly otherArchitectures: string;
  readonly weaknesses: readonly Weakness[];
}

export interface InspectedFilter {
  readonly instructions: number;
  /** The instructions that are executed on the longest way through it. */
  readonly longestPath: number;
}

/** What all filters together say on one ABI. */
export interface InspectedAbi {
  readonly abi: AbiName;
  /** Calls that are answered alike whatever their arguments are, by the answer. */
  readonly always: Readonly<Record<string, readonly string[]>>;
  readonly conditional: readonly ConditionalCall[];
  /** The answer to numbers that no call has. */
  readonly unknownNumbers: string;
  /** How many of the calls that are always allowed are in the kernel's action cache, so that no filter is run. */
  readonly cached: number;
}

export interface ConditionalCall {
  readonly syscall: string;
  readonly cases: readonly { readonly condition: string; readonly action: string }[];
}

/** Something that the filters let through, and probably should not. */
export interface Weakness {
  readonly id: string;
  readonly message: string;
  readonly remedy: string;
  /** A call that passes, as a program would write it. */
  readonly witness: string;
}

/**
 * What a stack of filters does, the oldest first.
 * @throws UndecidedError where the filters compute more than can be told
 */
export function inspectFilters(filters: readonly Filter[], machine: Abi["machine"]): Inspection {
  try {
    return new Inspector(filters, machine).inspection();
  } catch (error) {
    if (error instanceof UnreadableFilter) throw new UndecidedError(error.message);
    if (error instanceof TooManyNodes)
      throw new UndecidedError("the filters compare words of the call in more ways than can be told");
    throw error;
  }
}

/** A second or two. Filters that are in use need some dozens, a browser's fewer than 3,000. */
const mostTold = 40_000;

/** A number between the tables' and x32's. */
const someUnknownNumber = 0x3fff_fff0;

/** A contrary of more characters says less than "else". */
const longestContrary = 40;

class Inspector {
  readonly #filters: readonly Filter[];
  readonly #abis: readonly Abi[];
  readonly #partitions = new Partitions();
  readonly #all: Partition;
  readonly #limit = new TellingLimit(mostTold);

  constructor(filters: readonly Filter[], machine: Abi["machine"]) {
    this.#filters = filters;
    this.#abis = abis.filter((abi) => abi.machine === machine);
    this.#all = partitionOfSide(sideOf(filters), new DecisionMaker(), this.#partitions);
  }

  inspection(): Inspection {
    return {
      filters: this.#filters.map(({ instructions }) => ({
        instructions: instructions.length,
        longestPath: longestPath(instructions),
      })),
      abis: this.#abis.map((abi) => this.#inspectAbi(abi)),
      otherArchitectures: this.#summary(this.#partitions.at(this.#all, 1, 0), "x86_64"),
      weaknesses: this.#weaknesses(),
    };
  }

  #at(abi: Abi, nr: number): Partition {
    return this.#partitions.at(this.#partitions.at(this.#all, 1, abi.arch), 0, nr);
  }

  #inspectAbi(abi: Abi): InspectedAbi {
    const always: Record<string, string[]> = {};
    const conditional: ConditionalCall[] = [];
    let cached = 0;
    for (const call of syscallsOf(abi.name)) {
      const partition = this.#at(abi, call.nr);
      if (partition.kind === "fork") conditional.push(this.#conditional(abi, call, partition));
      else {
        const action = written(partition.value, abi.name);
        always[action] = [...(always[action] ?? []), call.name];
        // The cache has no room for x32's numbers.
        if (
          partition.value === RET_ALLOW &&
          abi.name !== "x32" &&
          this.#filters.every(({ instructions }) => isCacheable(instructions, call.nr, abi.arch))
        )
          cached += 1;
      }
    }
    const unknown = this.#at(abi, abi.numberBase + someUnknownNumber);
    return { abi: abi.name, always, conditional, unknownNumbers: this.#summary(unknown, abi.name), cached };
  }

  #conditional(abi: Abi, call: Syscall, partition: Partition): ConditionalCall {
    try {
      const scope = { abi: abi.name, call, limit: this.#limit };
      const alternatives = orderedAlternativesOf(this.#partitions, partition, scope);
      const conditions = alternatives.map((one) => one.condition).filter((one) => one !== undefined);
      const cases = alternatives.map(({ condition, value }) => {
        const text = condition === undefined ? otherwise(conditions) : tellCondition(condition);
        return { condition: text, action: written(value, abi.name) };
      });
      return { syscall: call.name, cases };
    } catch (error) {
      if (!(error instanceof TooManyConditions)) throw error;
      const action = this.#summary(partition, abi.name);
      return { syscall: call.name, cases: [{ condition: "by conditions too many to be listed", action }] };
    }
  }

  /** The answer, or the answers. */
  #summary(partition: Partition, abi: AbiName): string {
    return [...new Set(this.#partitions.valuesIn(partition).map((value) => written(value, abi)))].join(
      " or ",
    );
  }

  #allows(partition: Partition): boolean {
    return partition.kind === "leaf" && partition.value === RET_ALLOW;
  }

  #weaknesses(): readonly Weakness[] {
    const [native] = this.#abis;
    if (native === undefined) return [];
    const found: Weakness[] = [];
    const looksAtArch = this.#all.kind === "fork" && this.#all.word === 1;
    if (!looksAtArch && this.#partitions.valuesIn(this.#all).length > 1)
      found.push({
        id: "no-architecture-check",
        message: "no filter looks at the architecture: the numbers of one ABI are taken for those of another",
        remedy: "test seccomp_data.arch first, and kill for every other value",
        witness: this.#crossAbiWitness(native),
      });
    for (const abi of this.#abis.slice(1)) found.push(...this.#lessStrict(native, abi));
    for (const abi of this.#abis) found.push(...this.#wideCompares(abi));
    const unknown = this.#at(native, someUnknownNumber);
    if (this.#allows(unknown))
      found.push({
        id: "unknown-numbers",
        message: "numbers that no call has yet are allowed: so is every call of a newer kernel",
        remedy: "refuse unknown numbers with ENOSYS (a baseline in a policy does that)",
        witness: writtenCall(native.arch, someUnknownNumber, []),
      });
    found.push(...this.#ioUring(native));
    return found;
  }

  #crossAbiWitness(native: Abi): string {
    const denied = syscallsOf(native.name).find(
      ({ nr }) => !this.#partitions.valuesIn(this.#at(native, nr)).includes(RET_ALLOW),
    );
    const other = this.#abis.find((abi) => abi.arch !== native.arch) ?? native;
    const same = syscallByName(other.name, denied?.name ?? "getpid");
    return `${other.name} ${writtenCall(other.arch, same?.nr ?? 0, [])}`;
  }

  /** Calls that the native ABI surely refuses, and this one surely allows. */
  #lessStrict(native: Abi, abi: Abi): readonly Weakness[] {
    const calls = syscallsOf(abi.name).filter((call) => {
      const same = syscallByName(native.name, call.name);
      if (same === undefined || !this.#allows(this.#at(abi, call.nr))) return false;
      const strict = this.#at(native, same.nr);
      return strict.kind === "fork" || strict.value !== RET_ALLOW;
    });
    const [first] = calls;
    if (first === undefined) return [];
    const names = calls.slice(0, 4).map((call) => call.name);
    const more = calls.length > names.length ? ` and ${calls.length - names.length} more` : "";
    return [
      {
        id: `${abi.name}-open`,
        message: `${abi.name} is less strict than ${native.name}: it allows ${names.join(", ")}${more}, whatever their arguments are`,
        remedy: `give ${abi.name} the same rules, or kill all its calls`,
        witness: `${abi.name} ${writtenCall(abi.arch, first.nr, [])}`,
      },
    ];
  }

  /** Arguments of 32 bits that are compared as 64: a bit that the kernel never reads passes the filter. */
  #wideCompares(abi: Abi): readonly Weakness[] {
    return syscallsOf(abi.name).flatMap((call) => {
      const partition = this.#at(abi, call.nr);
      if (partition.kind === "leaf") return [];
      return (call.args ?? []).flatMap((argument): readonly Weakness[] => {
        if (argument.place.kind !== "word" || argument.width === 64 || argument.kind === "pointer") return [];
        const low = 4 + 2 * argument.place.index;
        const words = this.#milderAbove(partition, low);
        if (words === undefined || abi.bits === 32) return [];
        const args = [4, 6, 8, 10, 12, 14].map(
          (word) => BigInt(words.get(word) ?? 0) | (BigInt(words.get(word + 1) ?? 0) << 32n),
        );
        return [
          {
            id: "wide-compare",
            message: `${abi.name} ${call.name}: ${argument.name} has ${argument.width} bits to the kernel and is compared as 64, so that a high bit passes the filter`,
            remedy: `compare the low word of args[${argument.place.index}] alone`,
            witness: writtenCall(abi.arch, call.nr, args),
          },
        ];
      });
    });
  }

  /** Words of a call that is refused as it is, and answered more mildly with some bit above the low half. */
  #milderAbove(partition: Partition, low: number): ReadonlyMap<number, number> | undefined {
    // Where the high half is compared with another word, a bit of it says nothing by itself.
    if ((relatesOf(partition) & (1 << (low + 1))) !== 0) return undefined;
    const plain = this.#partitions.at(partition, low + 1, 0);
    for (const bit of [1, 0x8000_0000]) {
      const above = this.#partitions.at(partition, low + 1, bit);
      if (above === plain) continue;
      const both = this.#partitions.combine(plain, above, (one, other) =>
        strictness(one) > strictness(other) ? 1 : 0,
      );
      const words = this.#partitions.ways(both).get(1);
      if (words !== undefined) return new Map([...words, [low + 1, bit]]);
    }
    return undefined;
  }

  #ioUring(native: Abi): readonly Weakness[] {
    const at = (name: string): Partition | undefined => {
      const call = syscallByName(native.name, name);
      return call === undefined ? undefined : this.#at(native, call.nr);
    };
    const [socket, setup] = [at("socket"), at("io_uring_setup")];
    if (socket === undefined || setup === undefined || this.#allows(socket) || !this.#allows(setup))
      return [];
    return [
      {
        id: "io-uring",
        message:
          "socket is refused or conditioned, but io_uring makes sockets, connections and files past every filter",
        remedy: "refuse io_uring_setup with ENOSYS",
        witness: writtenCall(native.arch, syscallByName(native.name, "io_uring_setup")?.nr ?? 0, []),
      },
    ];
  }
}

/** What is left by some conditions: the contrary of a single one where that is as quickly read as a word. */
function otherwise([only, ...more]: readonly ToldCondition[]): string {
  if (only === undefined || more.length > 0 || (only.kind !== "test" && only.kind !== "words")) return "else";
  const contrary = tellCondition(negationOf(only));
  return contrary.length <= longestContrary ? contrary : "else";
}

function written(value: number, abi: AbiName): string {
  const action = actionOfReturnValue(value, abi);
  return action.kind === "errno" ? `errno(${action.errno})` : printAction(action);
}

/** Jumps go forward only, so one pass from the end is enough. */
function longestPath(instructions: readonly Instruction[]): number {
  const longest = new Array<number>(instructions.length + 1).fill(0);
  for (let at = instructions.length - 1; at >= 0; at--) {
    const step = instructions[at];
    if (step === undefined) continue;
    const next = isReturn(step.code)
      ? []
      : step.code === JA
        ? [at + 1 + step.k]
        : isConditionalJump(step.code)
          ? [at + 1 + step.jt, at + 1 + step.jf]
          : [at + 1];
    longest[at] = 1 + Math.max(0, ...next.map((target) => longest[target] ?? 0));
  }
  return longest[0] ?? 0;
}
