/**
 * A filter back into a policy that says the same, and is proved to.
 *
 * First each call is told by itself: what it gets, under which conditions. Then what is equal on all ABIs and for all
 * twins is said once, with names and groups. What names cannot say exactly (a number that differs from its twins, a
 * call behind a multiplexer) is found by comparing, and said by number in front. At the end the whole is compared
 * again, and what is left is a loss: numbers that no call has, in ranges that a policy cannot name.
 */
import { type Filter, strictest, strictness } from "../bpf/index.ts";
import { printAction } from "../policy/action.ts";
import { printCondition } from "../policy/printer.ts";
import type { Action, Condition, Policy, Rule, Selector } from "../policy/types.ts";
import {
  type Abi,
  type AbiName,
  abis as allAbis,
  compareVersions,
  groupMembers,
  groups,
  type KernelVersion,
  newestVersion,
  type Syscall,
  syscallByName,
  syscallsOf,
  twinsOf,
} from "../syscalls/index.ts";
import { isOfPolicies, orderedAlternativesOf, TellingLimit, TooManyConditions } from "./conditions.ts";
import { DecisionMaker } from "./decisions.ts";
import { type Diagram, none, TooManyNodes } from "./diagram.ts";
import { type Difference, diff, UndecidedError } from "./diff.ts";
import { writtenComparison } from "./expressions.ts";
import { UnreadableFilter } from "./filter.ts";
import { actionOfReturnValue } from "./meaning.ts";
import { type Partition, Partitions } from "./partition.ts";
import type { Relation } from "./relations.ts";
import { partitionOfSide, sideOf } from "./side.ts";

/** A filter that no policy can say. */
export class DecompileError extends Error {
  override readonly name = "DecompileError";
}

export interface DecompileOptions {
  /**
   * Called for each way in which the policy differs from the filter. Where a filter compares words of the call with each
   * other, which no policy can, the policy then has the strictest of the answers. Without it, a difference is an error, unless it is
   * about numbers from 0x80000000 on alone: these are negative to the kernel, and no call has or gets them.
   */
  readonly lost?: (difference: Difference) => void;
}

/** From here on numbers are negative to the kernel. */
const firstNegative = 0x8000_0000;
/** More numbers without a call than this are not said one by one. */
const mostNumbers = 256;
/** So many selectors are read easily on one line. */
const selectorsOnALine = 6;
/** A group that covers fewer calls is no gain. */
const smallestGroup = 4;
/** No architecture has it. */
const noArchitecture = 0;

/**
 * The policy that says what a filter (or a stack of filters, the oldest first) says.
 * @throws DecompileError where no policy can say it; UndecidedError where it cannot be found out what the filter says;
 * TypeError for a filter that the kernel would refuse
 */
export function decompile(filter: Filter | readonly Filter[], options: DecompileOptions = {}): Policy {
  try {
    const policy = new Decompiler(filter, options.lost !== undefined).policy();
    for (const difference of diff(filter, policy)) {
      if (options.lost !== undefined) options.lost(difference);
      else if (difference.abi === undefined || difference.numbers.from < firstNegative)
        throw new DecompileError(
          `no policy says exactly what this filter says, for instance of ${difference.abi ?? "other ABIs"} ${difference.witness.call}: ` +
            `${printAction(difference.before)}, where a policy can say ${printAction(difference.after)}`,
        );
    }
    return policy;
  } catch (error) {
    if (error instanceof UnreadableFilter) throw new UndecidedError(error.message);
    if (error instanceof TooManyNodes || error instanceof TooManyConditions)
      throw new DecompileError("the filter compares words of the call in more ways than a policy can say");
    throw error;
  }
}

/** What one call gets, in the order in which it is tested; the last has no condition. */
interface Case {
  readonly action: Action;
  readonly condition: Condition | undefined;
}

/** What holds where no rule does. */
interface Frame {
  readonly default: number;
  readonly newer: number;
  readonly baseline: KernelVersion | undefined;
}

class Decompiler {
  readonly #filter: Filter | readonly Filter[];
  readonly #partitions = new Partitions();
  readonly #limit = new TellingLimit();
  readonly #maker = new DecisionMaker();
  readonly #all: Partition;
  readonly #others: number;
  readonly #abis: readonly Abi[];
  readonly #frame: Frame;
  readonly #answers = new Map<string, Partition>();

  constructor(filter: Filter | readonly Filter[], mayLose: boolean) {
    this.#filter = filter;
    const exact = partitionOfSide(sideOf(this.#filter), this.#maker, this.#partitions);
    const [compared] = this.#partitions.relationsIn(exact);
    if (compared !== undefined && !mayLose) throw noPolicyFor(compared);
    this.#all = this.#partitions.withoutRelations(exact, (one, other) => strictest(one, other) >>> 0);
    this.#others = this.#strictestIn(this.#partitions.at(this.#all, 1, noArchitecture));
    const spoken = allAbis.filter((abi) => this.#isSpokenOf(abi));
    this.#abis = spoken.length > 0 ? spoken : allAbis.slice(0, 1);
    this.#frame = this.#chooseFrame();
  }

  policy(): Policy {
    const rules = this.#rules();
    const policy = this.#withRules(rules);
    return this.#withRules([...this.#repairs(policy), ...rules]);
  }

  #withRules(rules: readonly Rule[]): Policy {
    const { default: standard, newer, baseline } = this.#frame;
    return {
      version: 1,
      syscalls: {
        default: this.#action(standard),
        ...(baseline === undefined ? {} : { baseline }),
        newer: this.#action(newer),
        abis: this.#abis.map(({ name }) => name),
        otherAbis: this.#action(this.#others),
        multiplexed: "strict",
        require: [],
        rules,
      },
    };
  }

  #action(value: number, abi: AbiName = this.#abis[0]?.name ?? "x86_64"): Action {
    return actionOfReturnValue(value, abi);
  }

  #at(abi: Abi, nr: number): Partition {
    const key = `${abi.name} ${nr}`;
    let found = this.#answers.get(key);
    if (found === undefined) {
      found = this.#partitions.at(this.#partitions.at(this.#all, 1, abi.arch), 0, nr);
      this.#answers.set(key, found);
    }
    return found;
  }

  #strictestIn(partition: Partition): number {
    const values = this.#partitions.valuesIn(partition);
    return values.reduce((strict, value) => (strictness(value) > strictness(strict) ? value : strict));
  }

  /** The numbers that are an ABI's. */
  #numbersOf(abi: Abi): Diagram {
    const { sets } = this.#partitions;
    const x32 = allAbis.find((one) => one.arch === abi.arch && one.numberBase !== 0);
    if (x32 === undefined) return 1;
    const own = sets.interval(x32.numberBase, firstNegative - 1);
    return abi.name === x32.name ? own : sets.complement(own);
  }

  /** The parts of an ABI's numbers, each with what its numbers get. */
  #partsOf(abi: Abi): readonly { readonly set: Diagram; readonly rest: Partition }[] {
    const { sets } = this.#partitions;
    const numbers = this.#partitions.at(this.#all, 1, abi.arch);
    const own = this.#numbersOf(abi);
    if (numbers.kind === "leaf" || numbers.word !== 0) return [{ set: own, rest: numbers }];
    return numbers.parts
      .map(({ set, rest }) => ({ set: sets.intersect(set, own), rest }))
      .filter(({ set }) => set !== none);
  }

  /** An ABI of which no number gets anything but what other architectures get needs no rules. */
  #isSpokenOf(abi: Abi): boolean {
    const { sets } = this.#partitions;
    const calls = sets.interval(0, firstNegative - 1);
    const others = this.#partitions.leaf(this.#others);
    return this.#partsOf(abi).some(({ set, rest }) => rest !== others && sets.intersect(set, calls) !== none);
  }

  /** The default that most calls get, and the baseline that leaves the fewest rules to be said. */
  #chooseFrame(): Frame {
    const [first] = this.#abis;
    if (first === undefined) throw new Error("a policy has an ABI");
    // Where ABIs differ in it, no policy can say it exactly; the strictest errs on the right side.
    const newer = this.#abis
      .map((abi) => this.#strictestIn(this.#at(abi, abi.numberBase + 0x3fff_fff0)))
      .reduce((strict, value) => (strictness(value) > strictness(strict) ? value : strict));
    const calls = this.#abis.flatMap((abi) =>
      syscallsOf(abi.name).map((call) => ({ call, answer: this.#at(abi, call.nr) })),
    );
    // An ABI of which all calls get the same is said in one rule, and has no say here unless all are such.
    const varied = this.#abis.filter((abi) => this.#onlyAnswer(abi) === undefined);
    const voters = varied.length > 0 ? varied : [first];
    const votes = new Map<number, number>();
    for (const { answer } of calls.filter(({ call }) => voters.some((abi) => abi.name === call.abi)))
      if (answer.kind === "leaf") votes.set(answer.value, (votes.get(answer.value) ?? 0) + 1);
    const [[standard] = [newer]] = [...votes].sort(([, a], [, b]) => b - a);
    const releases = new Map(
      calls.flatMap(({ call }) =>
        call.since === undefined ? [] : [[`${call.since.major}.${call.since.minor}`, call.since] as const],
      ),
    );
    const isAllow = this.#action(standard, first.name).kind === "allow";
    // An open default has to have one, so that its meaning does not change with the tables.
    const candidates = [...(isAllow ? [] : [undefined]), newestVersion, ...releases.values()];
    const missesOf = (baseline: KernelVersion | undefined): number =>
      calls.filter(({ call, answer }) => {
        const fallback = isNewer(call, baseline) ? newer : standard;
        return answer.kind !== "leaf" || answer.value !== fallback;
      }).length;
    const counted = candidates.map((baseline) => ({ baseline, misses: missesOf(baseline) }));
    const best = counted.reduce((least, one) => (one.misses < least.misses ? one : least));
    return { default: standard, newer, baseline: best.baseline };
  }

  #rules(): readonly Rule[] {
    const conditional: Rule[] = [];
    const named = new Map<string, { readonly action: Action; readonly selectors: Selector[] }>();
    const say = (action: Action, selector: Selector): void => {
      const key = printAction(action);
      const list = named.get(key) ?? { action, selectors: [] };
      named.set(key, list);
      list.selectors.push(selector);
    };
    const sayCases = (cases: readonly Case[], selector: Selector, fallback: string): void => {
      for (const { action, condition } of cases) {
        if (condition !== undefined) conditional.push({ action, selectors: [{ ...selector, condition }] });
        else if (cases.length > 1) {
          if (printAction(action) !== fallback) conditional.push({ action, selectors: [selector] });
        } else say(action, selector);
      }
    };

    // In front of what is said by name, which would be meant for them too.
    const whole = this.#wholeAbis();
    const wholes = [...whole].map(
      ([abi, value]): Rule => ({
        action: this.#action(value),
        selectors: [{ abi: abi.name, target: { kind: "any" } }],
      }),
    );
    const rest = this.#abis.filter((abi) => !whole.has(abi));
    for (const family of this.#families(rest)) this.#sayFamily(family, rest, sayCases);
    for (const abi of this.#abis) this.#sayNumbers(abi, sayCases);

    const plain = [...named.values()].flatMap(({ action, selectors }) =>
      this.#inGroups(action, selectors, rest).map((some): Rule => ({ action, selectors: some })),
    );
    return [...wholes, ...conditional, ...plain];
  }

  /** ABIs of which every call gets the same, and not the default. */
  #wholeAbis(): ReadonlyMap<Abi, number> {
    const found = new Map<Abi, number>();
    for (const abi of this.#abis) {
      const only = this.#onlyAnswer(abi);
      if (only !== undefined && only !== this.#frame.default) found.set(abi, only);
    }
    return found;
  }

  /** What every call of an ABI gets, where that is one answer. */
  #onlyAnswer(abi: Abi): number | undefined {
    const answers = new Set(syscallsOf(abi.name).map((call) => this.#at(abi, call.nr)));
    const [only] = answers;
    return answers.size === 1 && only?.kind === "leaf" ? only.value : undefined;
  }

  /** Names of which a rule on one governs all, in the order of the first ABI's numbers. */
  #families(abis: readonly Abi[]): readonly (readonly string[])[] {
    const seen = new Set<string>();
    const found: (readonly string[])[] = [];
    for (const abi of abis)
      for (const { name } of syscallsOf(abi.name)) {
        if (seen.has(name)) continue;
        const family = twinsOf(name);
        for (const member of family) seen.add(member);
        found.push(family);
      }
    return found;
  }

  #sayFamily(
    family: readonly string[],
    abis: readonly Abi[],
    say: (cases: readonly Case[], selector: Selector, fallback: string) => void,
  ): void {
    const members = abis.flatMap((abi) =>
      family.flatMap((name) => {
        const call = syscallByName(abi.name, name);
        return call === undefined ? [] : [{ abi, call, cases: this.#cases(abi, call.nr, call) }];
      }),
    );
    const needed = members.filter(({ abi, call }) => !this.#isFallback(abi, call));
    const [first] = needed;
    if (first === undefined) return;
    const key = (cases: readonly Case[]): string => cases.map(printCase).join("; ");
    const selectorOf = (call: Syscall, abi?: Abi): Selector => ({
      ...(abi === undefined ? {} : { abi: abi.name }),
      target: { kind: "name", name: call.name },
    });
    const isUniform = (some: typeof members): boolean =>
      new Set(some.map(({ cases }) => key(cases))).size === 1;
    if (isUniform(members)) {
      say(first.cases, selectorOf(first.call), this.#fallbackOf(first.call));
      return;
    }
    for (const abi of abis) {
      const own = members.filter((one) => one.abi === abi);
      const missing = needed.filter((one) => one.abi === abi);
      const [head] = missing;
      if (head === undefined) continue;
      if (isUniform(own)) say(head.cases, selectorOf(head.call, abi), this.#fallbackOf(head.call));
      else
        for (const { call, cases } of missing)
          say(cases, { abi: abi.name, target: { kind: "number", nr: call.nr } }, "");
    }
  }

  /** Numbers without a call that get something else than `newer`, where they are few. */
  #sayNumbers(abi: Abi, say: (cases: readonly Case[], selector: Selector, fallback: string) => void): void {
    const { sets } = this.#partitions;
    const known = sets.setOf(syscallsOf(abi.name).map(({ nr }) => nr));
    const unknown = sets.intersect(this.#numbersOf(abi), sets.complement(known));
    const newer = this.#partitions.leaf(this.#frame.newer);
    for (const { set, rest } of this.#partsOf(abi)) {
      const left = sets.intersect(set, unknown);
      if (rest === newer || left === none || sets.count(left) > mostNumbers) continue;
      for (const [from, to] of sets.intervals(left, mostNumbers) ?? [])
        for (let nr = from; nr <= to; nr++)
          say(this.#cases(abi, nr, undefined), { abi: abi.name, target: { kind: "number", nr } }, "");
    }
  }

  #cases(abi: Abi, nr: number, call: Syscall | undefined): readonly Case[] {
    const partition = this.#at(abi, nr);
    const scope = { abi: abi.name, call, limit: this.#limit };
    return orderedAlternativesOf(this.#partitions, partition, scope).map(({ value, condition }) => {
      if (condition !== undefined && !isOfPolicies(condition)) throw new TooManyConditions();
      return { action: this.#action(value, abi.name), condition };
    });
  }

  #fallbackOf(call: Syscall): string {
    const { default: standard, newer, baseline } = this.#frame;
    return printAction(this.#action(isNewer(call, baseline) ? newer : standard));
  }

  #isFallback(abi: Abi, call: Syscall): boolean {
    const answer = this.#at(abi, call.nr);
    const { default: standard, newer, baseline } = this.#frame;
    return answer.kind === "leaf" && answer.value === (isNewer(call, baseline) ? newer : standard);
  }

  /** Selectors with as many of them as possible said by groups, in lines. */
  #inGroups(
    action: Action,
    selectors: readonly Selector[],
    abis: readonly Abi[],
  ): readonly (readonly Selector[])[] {
    const written = printAction(action);
    const isSo = (name: string): boolean =>
      twinsOf(name).every((twin) =>
        abis.every((abi) => {
          const call = syscallByName(abi.name, twin);
          if (call === undefined || isNewer(call, this.#frame.baseline)) return true;
          const answer = this.#at(abi, call.nr);
          return answer.kind === "leaf" && printAction(this.#action(answer.value, abi.name)) === written;
        }),
      );
    const left = new Map<string, Selector>();
    const others: Selector[] = [];
    for (const selector of selectors) {
      if (selector.target.kind === "name" && selector.abi === undefined)
        left.set(selector.target.name, selector);
      else others.push(selector);
    }
    const isOld = (name: string): boolean =>
      abis.every((abi) => {
        const call = syscallByName(abi.name, name);
        return call === undefined || !isNewer(call, this.#frame.baseline);
      });
    const chosen: Selector[] = [];
    const candidates = groups
      .map(({ name }) => ({ name, members: groupMembers(name) ?? [] }))
      .sort((a, b) => b.members.length - a.members.length);
    for (const { name, members } of candidates) {
      // A member's twin may be the one that the rule would have named.
      const covered = [...left.keys()].filter(
        (one) => isOld(one) && twinsOf(one).some((twin) => members.includes(twin)),
      );
      if (covered.length < smallestGroup || !members.every(isSo)) continue;
      chosen.push({ target: { kind: "group", name } });
      for (const one of covered) left.delete(one);
    }
    return [...linesOf(chosen), ...linesOf([...left.values()]), ...linesOf(others)];
  }

  /** Rules by number, in front of all others, for the calls of which the policy does not say what the filter does. */
  #repairs(policy: Policy): readonly Rule[] {
    const said = partitionOfSide(sideOf(policy), this.#maker, this.#partitions);
    return this.#abis.flatMap((abi) => {
      const numbers = this.#partitions.at(said, 1, abi.arch);
      return syscallsOf(abi.name).flatMap((call): readonly Rule[] => {
        if (this.#partitions.at(numbers, 0, call.nr) === this.#at(abi, call.nr)) return [];
        return this.#cases(abi, call.nr, call).map(({ action, condition }) => ({
          action,
          selectors: [
            {
              abi: abi.name,
              target: { kind: "number", nr: call.nr },
              ...(condition === undefined ? {} : { condition }),
            },
          ],
          reason: call.name,
        }));
      });
    });
  }
}

function noPolicyFor({ at, comparison }: Relation): DecompileError {
  const { words } = writtenComparison(comparison, undefined);
  return new DecompileError(
    `instruction ${at} asks whether ${words}: a policy compares words of a call with constants only, not with each other`,
  );
}

function isNewer({ since }: Syscall, baseline: KernelVersion | undefined): boolean {
  return baseline !== undefined && (since === undefined || compareVersions(since, baseline) > 0);
}

function printCase({ action, condition }: Case): string {
  return `${printAction(action)} ${condition === undefined ? "" : printCondition(condition)}`;
}

function linesOf(selectors: readonly Selector[]): readonly (readonly Selector[])[] {
  const lines: (readonly Selector[])[] = [];
  for (let at = 0; at < selectors.length; at += selectorsOnALine)
    lines.push(selectors.slice(at, at + selectorsOnALine));
  return lines;
}
