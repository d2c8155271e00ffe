/**
 * What an LXC seccomp profile means, as LXC and libseccomp carry it out: an ordinary policy whose rules name, ABI by
 * ABI, the very numbers that end up in the filter.
 */
import { type Diagnostic, nearest, type Source } from "../../diagnostics/index.ts";
import type { Action, Condition, Operand, Policy, Rule, Selector, Value } from "../../policy/types.ts";
import {
  type Abi,
  type AbiName,
  abiByName,
  abis,
  compareVersions,
  type KernelVersion,
  multiplexedOf,
  newestVersion,
  syscallByName,
  syscallNames,
  syscallsOf,
  twinsOf,
} from "../../syscalls/index.ts";
import { looksLikeProfile, type ProfileRule, type ProfileTest, parseProfile } from "./parse.ts";

export { looksLikeProfile };

export interface LxcProfileOptions {
  /** The machine that the container runs on. */
  readonly target: AbiName;
  /** The newest Linux whose calls LXC's libseccomp knows by name; Debian 12's (2.5.4) knows 5.17's. */
  readonly libseccomp?: KernelVersion;
}

export interface LxcProfileResult {
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

const debian12: KernelVersion = { major: 5, minor: 17, patch: 0 };

/** Which ABIs LXC gives a filter rules for, on each machine that it runs on. */
export function profileAbis(target: AbiName): readonly Abi[] {
  const machine = abiByName(target)?.machine;
  return abis.filter((abi) => abi.machine === machine);
}

/** Reads a profile of version 1 or 2 as LXC does; each thing that it ignores is a warning. */
export function readLxcProfile(source: Source, options: LxcProfileOptions): LxcProfileResult {
  const machine = abiByName(options.target)?.machine ?? options.target;
  const { profile, diagnostics } = parseProfile(source, machine);
  if (profile === undefined) return { policy: undefined, diagnostics };
  const found = [...diagnostics];
  const rules =
    profile.version === 1
      ? numberRules(profile.numbers, options.target)
      : nameRules(profile.rules, profile.fallback, options, found);
  if (found.some((one) => one.severity === "error")) return { policy: undefined, diagnostics: found };
  const native = abiByName(options.target)?.name ?? options.target;
  return {
    policy: {
      version: 1,
      syscalls: {
        default: profile.fallback,
        // There are no new calls for LXC: whatever has no rule gets the default.
        baseline: newestVersion,
        newer: profile.fallback,
        abis: profile.version === 1 ? [native] : profileAbis(options.target).map((abi) => abi.name),
        otherAbis: { kind: "kill-thread" },
        multiplexed: "open",
        require: [],
        rules,
      },
    },
    diagnostics: found,
  };
}

function numberRules(
  numbers: readonly { readonly nr: number; readonly span: Rule["span"] }[],
  abi: AbiName,
): readonly Rule[] {
  return numbers.map(({ nr, span }) => ({
    action: { kind: "allow" },
    selectors: [{ abi, target: { kind: "number", nr: nr >>> 0 } }],
    ...(span === undefined ? {} : { span }),
  }));
}

function nameRules(
  lines: readonly ProfileRule[],
  fallback: Action,
  options: LxcProfileOptions,
  diagnostics: Diagnostic[],
): readonly Rule[] {
  const wholeRules: Rule[] = [];
  const testedRules: Rule[] = [];
  const wholeOf = new Map<string, ProfileRule>();
  const testedOf = new Map<string, ProfileRule>();
  for (const line of lines) {
    const { span } = line;
    const warn = (id: string, message: string, label?: string): void => {
      diagnostics.push({ id, severity: "warning", message, span, ...(label === undefined ? {} : { label }) });
    };
    if (line.skipped) continue;
    if (!isKnown(line.name, options)) {
      if (line.name !== "" || spanIsBlank(line))
        warn("lxc-unknown-name", ignoredName(line.name), guessFor(line.name));
      continue;
    }
    if (new Set(line.tests.map((test) => test.index)).size < line.tests.length) {
      diagnostics.push({
        id: "lxc-argument",
        severity: "error",
        message: "libseccomp takes one test of an argument in a rule: a range cannot be written",
        span,
      });
      continue;
    }
    if (sameAction(line.action, fallback)) {
      diagnostics.push({
        id: "lxc-default-action",
        severity: "error",
        message: "libseccomp refuses a rule whose action is the default one: the container does not start",
        span,
      });
      continue;
    }
    // Tests that are always true leave a rule without any.
    const tests = line.tests.filter((test) => test.operator !== "&=" || test.mask !== 0n);
    const earlier = wholeOf.get(line.name);
    if (earlier !== undefined) {
      if (!sameAction(earlier.action, line.action))
        warn("lxc-rule-loses", `an earlier rule for every ${line.name} wins: this one does nothing`);
      continue;
    }
    const selectors = selectorsOf(line.name, tests, options.target, warn);
    if (selectors.length === 0) continue;
    const rule: Rule = { action: line.action, selectors, span };
    if (tests.length === 0) {
      const tested = testedOf.get(line.name);
      if (tested !== undefined && !sameAction(tested.action, line.action))
        warn("lxc-rule-wins", `libseccomp drops the rules with tests on ${line.name} for this one without`);
      wholeOf.set(line.name, line);
      wholeRules.push(rule);
    } else {
      const tested = testedOf.get(line.name);
      if (tested !== undefined && !sameAction(tested.action, line.action))
        warn(
          "lxc-rules-overlap",
          `which of two rules on ${line.name} wins where both match is libseccomp's to decide`,
          "taken here: the first",
        );
      testedOf.set(line.name, line);
      testedRules.push(rule);
    }
  }
  // A rule without tests is for every call of its name, wherever it stands.
  return [...wholeRules, ...testedRules];
}

function spanIsBlank({ span }: ProfileRule): boolean {
  return span.source.text.slice(span.start, span.end).trim() !== "";
}

/** The names of version 2 are libseccomp's: any that some ABI has, and not too new for it. */
function isKnown(name: string, options: LxcProfileOptions): boolean {
  const limit = options.libseccomp ?? debian12;
  const own = profileAbis(options.target);
  let isThere = false;
  // The machine's own ABIs first: a container's start needs no other's table for the names of most profiles.
  for (const abi of [...own, ...abis.filter((one) => !own.includes(one))]) {
    const call = syscallByName(abi.name, name);
    if (call === undefined) continue;
    isThere = true;
    if (call.since === undefined || compareVersions(call.since, limit) <= 0) return true;
  }
  return !isThere && abis.some((abi) => multiplexedOf(abi.name).some((one) => one.name === name));
}

function ignoredName(name: string): string {
  const shown = JSON.stringify(name);
  if (name.includes("\t"))
    return `LXC takes ${shown}, tab and all, for a name that it does not know, and ignores the line`;
  if (name.endsWith("\r"))
    return `LXC takes ${shown}, with its carriage return, for a name that it does not know, and ignores the line`;
  if (syscallNames().includes(name)) return `LXC ignores ${name}: its libseccomp is older than the call`;
  return `LXC ignores this line: it knows no call ${shown}`;
}

function guessFor(name: string): string | undefined {
  const bare = name.trim();
  if (syscallNames().includes(bare)) return bare === name ? undefined : `did you mean ${bare}?`;
  const guess = nearest(bare, syscallNames());
  return guess === undefined ? undefined : `did you mean ${guess}?`;
}

function sameAction(a: Action, b: Action): boolean {
  return a.kind === b.kind && (a.kind !== "errno" || errnoOf(a) === errnoOf(b));
}

/** The only errno that this reader gives by name is EACCES. */
function errnoOf(action: Action): number | undefined {
  if (action.kind !== "errno") return undefined;
  return action.errno === "EACCES" ? 13 : Number(action.errno);
}

/** One selector for all ABIs where that is exact; else one for each, by name where this is exact, else by number. */
function selectorsOf(
  name: string,
  tests: readonly ProfileTest[],
  target: AbiName,
  warn: (id: string, message: string) => void,
): readonly Selector[] {
  const own = profileAbis(target);
  const behind = own.filter((abi) => multiplexedOf(abi.name).some((one) => one.name === name));
  for (const abi of behind) warn("lxc-multiplexed", `LXC does not apply this rule on ${abi.name}`);
  const withNumber = own.flatMap((abi) => {
    const call = behind.includes(abi) ? undefined : syscallByName(abi.name, name);
    return call === undefined ? [] : [{ abi, nr: call.nr }];
  });
  const isExact = (abi: Abi): boolean => {
    const names = new Set(twinsOf(name));
    const direct = syscallsOf(abi.name).filter((call) => names.has(call.name));
    return (
      direct.length === 1 &&
      !multiplexedOf(abi.name).some((one) => names.has(one.name) || one.multiplexer === name)
    );
  };
  const everywhere =
    tests.length === 0 &&
    own.every((abi) => isExact(abi) || !reaches(abi, name)) &&
    withNumber.every(({ abi }) => isExact(abi));
  if (everywhere) return withNumber.length === 0 ? [] : [{ target: { kind: "name", name } }];
  return withNumber.map(({ abi, nr }) => ({
    abi: abi.name,
    target: isExact(abi) ? { kind: "name", name } : { kind: "number", nr: nr - abi.numberBase },
    ...(tests.length === 0 ? {} : { condition: conditionOf(tests, abi) }),
  }));
}

/** Whether a rule on a name reaches any number of an ABI. */
function reaches(abi: Abi, name: string): boolean {
  const names = new Set(twinsOf(name));
  return (
    syscallsOf(abi.name).some((call) => names.has(call.name)) ||
    multiplexedOf(abi.name).some((one) => names.has(one.name))
  );
}

function conditionOf(tests: readonly ProfileTest[], abi: Abi): Condition {
  const items = tests.map((test) => testCondition(test, abi));
  const [first] = items;
  return items.length === 1 && first !== undefined ? first : { kind: "and", items };
}

/** libseccomp compares whole 64-bit words, but on 32-bit ABIs (it counts x32 and n32 among them) their lower halves only. */
function testCondition({ index, operator, value, mask }: ProfileTest, abi: Abi): Condition {
  const half = 0xffff_ffffn;
  const narrow = abi.bits === 32 || hasHalvedComparisons(abi.name);
  const word: Operand["word"] = { kind: "raw", index };
  const cut = (number: bigint): bigint => (narrow ? number & half : number);
  const masked = operator === "&=" ? cut(mask) : narrow ? half : undefined;
  const operand: Operand = masked === undefined ? { word } : { word, mask: literal(masked) };
  const wanted = operator === "&=" ? cut(value) & cut(mask) : cut(value);
  return {
    kind: "test",
    operand,
    test: { kind: "compare", operator: operator === "&=" ? "==" : operator, value: literal(wanted) },
  };
}

function literal(value: bigint): Value {
  return { kind: "integer", value };
}

/** Whether arguments have 64 bits on an ABI, of which libseccomp compares 32. */
export function hasHalvedComparisons(abi: AbiName): boolean {
  return abi === "x32" || abi === "mips64n32" || abi === "mipsel64n32";
}
