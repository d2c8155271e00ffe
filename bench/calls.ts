/**
 * The calls on which filters are compared: what an OCI profile says of x86_64's numbers, read from its text and not
 * through callgate's reader, so that every compiler's filter meets the same calls.
 */
import { frequencies } from "../src/compiler/frequencies.ts";
import { syscallNumber } from "../src/syscalls/index.ts";

export interface Call {
  readonly nr: number;
  readonly args: readonly bigint[];
}

/** The calls of one profile. */
export interface Calls {
  /** Numbers that are allowed whatever their arguments are. */
  readonly allowed: readonly number[];
  /** Numbers below 512 that are refused whatever their arguments are, those of no call among them. */
  readonly denied: readonly number[];
  /** For each condition a call that meets it, and for each of its comparisons one that misses only that. */
  readonly checked: readonly Call[];
  /** The mix of `frequencies.json`; a call whose arguments are looked at counts as the mean of its checked ones. */
  readonly mix: readonly { readonly calls: readonly Call[]; readonly weight: number }[];
}

interface Comparison {
  readonly index: number;
  readonly op: string;
  readonly value: number;
  readonly valueTwo?: number;
}

/** The part of an OCI profile that these policies use. */
export interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly Comparison[];
  }[];
}

const numbersLooked = 512;

export function callsOf(profile: Profile): Calls {
  const checked = new Map<number, Call[]>();
  const actions = new Map<number, string>();
  for (const { names, action, args } of profile.syscalls) {
    for (const name of names) {
      const nr = syscallNumber("x86_64", name);
      if (nr === undefined) continue;
      if (args === undefined || args.length === 0) actions.set(nr, action);
      else checked.set(nr, [...(checked.get(nr) ?? []), ...meetingAndMissing(nr, args)]);
    }
  }
  // As libseccomp has it: a rule without conditions wins over those with some.
  for (const nr of actions.keys()) checked.delete(nr);
  const numbers = [...Array(numbersLooked).keys()].filter((nr) => !checked.has(nr));
  const isAllowed = (nr: number): boolean => (actions.get(nr) ?? profile.defaultAction) === "SCMP_ACT_ALLOW";
  return {
    allowed: numbers.filter((nr) => actions.has(nr) && isAllowed(nr)),
    denied: numbers.filter((nr) => !isAllowed(nr)),
    checked: [...checked.values()].flat(),
    mix: Object.entries(frequencies).flatMap(([name, weight]) => {
      const nr = syscallNumber("x86_64", name);
      return nr === undefined ? [] : [{ calls: checked.get(nr) ?? [{ nr, args: [] }], weight }];
    }),
  };
}

function meetingAndMissing(nr: number, comparisons: readonly Comparison[]): readonly Call[] {
  const call = (missed: number): Call => {
    const args = [0n, 0n, 0n, 0n, 0n, 0n];
    for (const [at, one] of comparisons.entries()) args[one.index] = valueFor(one, at !== missed);
    return { nr, args };
  };
  return [call(-1), ...comparisons.map((_, missed) => call(missed))];
}

/** A value next to the comparison's own that meets it, or misses it. */
function valueFor({ op, value, valueTwo }: Comparison, meets: boolean): bigint {
  const own = BigInt(value);
  switch (op) {
    case "SCMP_CMP_EQ":
      return meets ? own : own + 1n;
    case "SCMP_CMP_LT":
      return meets ? own - 1n : own;
    case "SCMP_CMP_GT":
      return meets ? own + 1n : own;
    case "SCMP_CMP_MASKED_EQ": {
      const wanted = BigInt(valueTwo ?? 0);
      return meets ? wanted : wanted ^ (own & -own);
    }
    default:
      throw new Error(`no policy of the bench compares by ${op}`);
  }
}
