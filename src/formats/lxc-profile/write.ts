/**
 * A policy as an LXC profile of version 2, as far as that format can say it: each call that libseccomp knows, each
 * condition that comes to fixed bits, on every ABI at once. Arguments are compared under the mask of the bits that the
 * kernel reads. What cannot be said is a loss, and listed.
 */
import { compareStrictness } from "../../policy/action.ts";
import { resolveSound } from "../../policy/resolve.ts";
import {
  type Decisions,
  type ResolvedAbi,
  type ResolvedCall,
  wordsOfArgument,
} from "../../policy/resolved.ts";
import type { Action, Policy } from "../../policy/types.ts";
import {
  type Abi,
  type AbiName,
  abiByName,
  compareVersions,
  errnoNumber,
  type KernelVersion,
  multiplexedOf,
  syscallByName,
} from "../../syscalls/index.ts";
import { linesAsRead } from "./as-read.ts";
import { both, type Cube, cubesOf, NoCubes } from "./cubes.ts";
import { hasHalvedComparisons, profileAbis } from "./read.ts";

export interface WriteOptions {
  readonly target: AbiName;
  /** The newest Linux whose calls LXC's libseccomp knows by name; Debian 12's knows 5.17's. */
  readonly libseccomp?: KernelVersion;
  /** Calls that get no rule. */
  readonly except?: ReadonlySet<string>;
  /**
   * The profile stands below a newer filter that is exact: rules of equal strictness may overlap, since the newer
   * filter's answer counts among equals, and a call may have only some of its rules.
   */
  readonly below?: boolean;
}

/** Something that a policy says and the text does not. */
export interface ProfileLoss {
  readonly syscall: string | undefined;
  readonly message: string;
}

export interface WrittenProfile {
  readonly text: string;
  /** The lines of rules alone, without version and policy line. */
  readonly rules: readonly string[];
  readonly losses: readonly ProfileLoss[];
}

const libseccompOfDebian12: KernelVersion = { major: 5, minor: 17, patch: 0 };

/** @throws TypeError where the policy has errors */
export function writeLxcProfile(policy: Policy, options: WriteOptions): WrittenProfile {
  const { syscalls } = policy;
  const own = resolveSound(policy, options.target).abis;
  const losses: ProfileLoss[] = [];
  const lose = (syscall: string | undefined, message: string): void => {
    if (!losses.some((one) => one.syscall === syscall && one.message === message))
      losses.push({ syscall, message });
  };
  const fallback: Action =
    options.below === true
      ? { kind: "allow" }
      : plainAction(syscalls.default, own, (message) => lose(undefined, message));
  const denies = fallback.kind === "allow";
  if (
    compareStrictness(syscalls.newer, fallback) !== 0 ||
    wordsOf(syscalls.newer, own) !== wordsOf(fallback, own)
  )
    lose(undefined, "numbers that are not known get the default: LXC knows no other answer for them");
  const machine = abiByName(options.target)?.machine;
  for (const { abi } of own)
    if (abi.machine !== machine) lose(undefined, `${abi.name} is not an ABI of this machine`);

  // Version 2 has no list of ABIs. Below an exact filter that refuses the others nothing is lost.
  const names = new Set(own.map(({ abi }) => abi.name));
  const more = profileAbis(options.target).filter(({ name }) => !names.has(name));
  if (options.below !== true && more.length > 0)
    lose(
      undefined,
      `LXC's rules are for ${more.map(({ name }) => name).join(" and ")} as well, which the policy has no rules for`,
    );
  const word = denies ? "denylist" : `allowlist ${wordsOf(fallback, own)}`;
  const head = `2\n${word}\n[all]`;

  const rules: string[] = [];
  for (const [name, calls] of callsByName(own)) {
    if (options.except?.has(name) === true) continue;
    const { lines, missed } = rulesOf({ name, calls, own, fallback, head, options });
    for (const message of missed) lose(name, message);
    rules.push(...lines.map((line) => `${name} ${line}`.trimEnd()));
  }
  return { text: `${head}\n${rules.map((line) => `${line}\n`).join("")}`, rules, losses };
}

interface NamedCalls {
  readonly name: string;
  readonly calls: readonly NamedCall[];
  readonly own: readonly ResolvedAbi[];
  readonly fallback: Action;
  /** What stands before all rules. */
  readonly head: string;
  readonly options: WriteOptions;
}

/** What stands behind the name in each rule of it, and what the policy says of it beyond that. */
function rulesOf({ name, calls, own, fallback, head, options }: NamedCalls): {
  readonly lines: readonly string[];
  readonly missed: readonly string[];
} {
  const missed: string[] = [];
  const decided = calls.map((call) =>
    linesOf(call, name, fallback, own, options.below === true, (_, message) => missed.push(message)),
  );
  const none = (...more: readonly string[]) => ({ lines: [], missed: [...missed, ...more] });
  if (!decided.some((lines) => lines !== undefined && lines.length > 0)) return none();
  if (!isKnown(name, own, options)) {
    // What no kernel has served has the kernel's own answer.
    const isServed = calls.some(({ abi }) => syscallByName(abi.abi.name, name)?.since !== undefined);
    return none(...(isServed ? ["libseccomp does not know this call: LXC would ignore the rule"] : []));
  }
  const reached = calls.flatMap((call, index) => (isReached(call.abi, name) ? [decided[index]] : []));
  const isMissed = calls.some((call, index) => !isReached(call.abi, name) && decided[index]?.length !== 0);
  const [shown] = reached;
  const isAlike = reached.every((lines) => lines !== undefined && lines.join("\n") === shown?.join("\n"));
  if (options.below !== true && (missed.length > 0 || isMissed || !isAlike)) {
    const words = (action: Action): string => exactWordsOf(action, own);
    const lines = linesAsRead({ name, calls, head, words, options });
    if (lines !== undefined) return { lines, missed: [] };
  }
  if (isMissed) missed.push("LXC does not apply rules on it on every ABI");
  if (shown === undefined) return none();
  if (!isAlike)
    return none("it is decided differently on different ABIs, and LXC's rules are for all of them");
  return { lines: shown, missed };
}

interface NamedCall {
  readonly abi: ResolvedAbi;
  readonly call: ResolvedCall;
}

function callsByName(own: readonly ResolvedAbi[]): ReadonlyMap<string, readonly NamedCall[]> {
  const named = new Map<string, NamedCall[]>();
  for (const abi of own) {
    for (const call of abi.calls) {
      if (call.name === undefined) continue;
      const list = named.get(call.name);
      if (list === undefined) named.set(call.name, [{ abi, call }]);
      else list.push({ abi, call });
    }
  }
  return named;
}

function isKnown(name: string, own: readonly ResolvedAbi[], options: WriteOptions): boolean {
  const limit = options.libseccomp ?? libseccompOfDebian12;
  return own.some(({ abi }) => {
    const since = syscallByName(abi.name, name)?.since;
    return since !== undefined && compareVersions(since, limit) <= 0;
  });
}

/** LXC skips a rule on an ABI that hides the call behind another, even where it has a number of its own. */
function isReached({ abi }: ResolvedAbi, name: string): boolean {
  return !multiplexedOf(abi.name).some((one) => one.name === name);
}

/** What stands behind the name in each rule that this call takes; undefined where they cannot be written. */
function linesOf(
  { call, abi: { abi } }: NamedCall,
  name: string,
  fallback: Action,
  own: readonly ResolvedAbi[],
  below: boolean,
  lose: (syscall: string, message: string) => void,
): readonly string[] | undefined {
  const say = (message: string): void => lose(name, message);
  try {
    const { behind } = call;
    if (behind === undefined)
      return writeDecisions(call, { abi, fallback, own, below, lose: say }, [new Map()]);
    const codes = behind.calls.map(
      (one): Cube => new Map([[behind.word, { mask: behind.mask >>> 0, value: one.code }]]),
    );
    const lines = behind.calls.flatMap((one, index) => {
      const code = codes[index];
      return code === undefined ? [] : writeDecisions(one, { abi, fallback, own, below, lose: say }, [code]);
    });
    if (writeDecisions(call, { abi, fallback, own, below, lose: say }, [new Map()]).length > 0)
      say(`codes of ${name} that stand for no call get the default`);
    return lines;
  } catch (error) {
    if (!(error instanceof NoCubes)) throw error;
    lose(name, error.message);
    return undefined;
  }
}

interface Writing {
  readonly abi: Abi;
  readonly fallback: Action;
  readonly own: readonly ResolvedAbi[];
  readonly below: boolean;
  readonly lose: (message: string) => void;
}

function writeDecisions(
  decisions: Decisions,
  { abi, fallback, own, below, lose }: Writing,
  scope: readonly Cube[],
): readonly string[] {
  const usual = wordsOf(fallback, own);
  const lines: string[] = [];
  /** Rules of one kind may overlap; others may not, since libseccomp knows no order between them. */
  const kindOf = (action: Action): string => (below ? action.kind : wordsOf(action, own));
  const earlier = new Set<string>();
  /** Where no rule has matched yet; undefined where that cannot be said. */
  let left: readonly Cube[] | undefined = scope;
  const areaFor = (kind: string): readonly Cube[] => {
    if ([...earlier].every((one) => one === kind)) return scope;
    if (left === undefined) throw new NoCubes("it takes too many rules");
    return left;
  };
  const attempt = <Result>(act: () => Result): Result | undefined => {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof NoCubes) || !below) throw error;
      lose(error.message);
      return undefined;
    }
  };
  for (const entry of decisions.entries) {
    const action = plainAction(entry.rule.action, own, lose);
    const words = wordsOf(action, own);
    const cubes = attempt(() => both(areaFor(kindOf(action)), cubesOf(entry.condition))) ?? [];
    if (words !== usual) lines.push(...cubes.map((cube) => `${words}${testsOf(cube, abi)}`));
    earlier.add(kindOf(action));
    const open: readonly Cube[] | undefined = left;
    left = open === undefined ? undefined : quietly(() => both(open, cubesOf(entry.condition, true)));
    if (left?.length === 0) return [...new Set(lines)];
  }
  const last = plainAction(decisions.fallback.action, own, lose);
  const words = wordsOf(last, own);
  if (words === usual) return [...new Set(lines)];
  // Whatever is left gets it; where only rules of its kind came before, that is the whole call.
  const area = attempt(() => areaFor(kindOf(last))) ?? [];
  return [...new Set([...lines, ...area.map((cube) => `${words}${testsOf(cube, abi)}`)])];
}

function quietly(act: () => readonly Cube[]): readonly Cube[] | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof NoCubes) return undefined;
    throw error;
  }
}

function testsOf(cube: Cube, { name, endian }: Abi): string {
  const tests: string[] = [];
  for (let index = 0; index < 6; index++) {
    const words = wordsOfArgument(index, endian);
    const low = cube.get(words.low);
    const high = cube.get(words.high);
    if (low === undefined && high === undefined) continue;
    if (high !== undefined && high.mask !== 0 && hasHalvedComparisons(name))
      throw new NoCubes(`of a 64-bit argument libseccomp compares the lower half on ${name}`);
    const value = BigInt(low?.value ?? 0) | (BigInt(high?.value ?? 0) << 32n);
    const mask = BigInt(low?.mask ?? 0) | (BigInt(high?.mask ?? 0) << 32n);
    tests.push(`[${index},0x${value.toString(16)},SCMP_CMP_MASKED_EQ,0x${mask.toString(16)}]`);
  }
  return tests.length === 0 ? "" : ` ${tests.join("")}`;
}

/** The action that comes nearest: LXC has neither log nor trace, and its kill is for a thread. */
function plainAction(action: Action, own: readonly ResolvedAbi[], lose: (message: string) => void): Action {
  switch (action.kind) {
    case "log":
    case "trace":
      lose(`LXC has no action ${action.kind}: allowed`);
      return { kind: "allow" };
    case "kill":
      lose("LXC's kill ends the thread, not the process");
      return { kind: "kill-thread" };
    case "trap":
      if (action.data !== 0) lose("LXC's trap has no number");
      return { kind: "trap", data: 0 };
    case "ask":
      return { kind: "notify" };
    case "errno":
      if (errnoOf(action, own) > 4094) {
        lose("libseccomp takes errnos up to 4094");
        return { kind: "errno", errno: "EPERM" };
      }
      return action;
    default:
      return action;
  }
}

/** The same of an action that LXC has; of any other, nothing that LXC would take. */
function exactWordsOf(action: Action, own: readonly ResolvedAbi[]): string {
  let isLost = false;
  const plain = plainAction(action, own, () => {
    isLost = true;
  });
  return isLost ? `no ${action.kind}` : wordsOf(plain, own);
}

function errnoOf(action: Extract<Action, { kind: "errno" }>, own: readonly ResolvedAbi[]): number {
  if (typeof action.errno === "number") return action.errno;
  return errnoNumber(own[0]?.abi.name ?? "x86_64", action.errno) ?? 1;
}

function wordsOf(action: Action, own: readonly ResolvedAbi[]): string {
  switch (action.kind) {
    case "errno":
      return `errno ${errnoOf(action, own)}`;
    case "kill-thread":
      return "kill";
    default:
      return action.kind;
  }
}
