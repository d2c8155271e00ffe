/**
 * The policy as people wrote it, as values. Names of arguments and constants are not resolved here: what a
 * name stands for depends on the ABI, and `resolve.ts` settles that.
 */
import type { Span } from "../diagnostics/index.ts";
import type { AbiName, KernelVersion } from "../syscalls/index.ts";

/** What happens to a call. `deny` is `errno(EPERM)`. */
export type Action =
  | { readonly kind: "allow" }
  | { readonly kind: "errno"; readonly errno: string | number }
  | { readonly kind: "kill" }
  | { readonly kind: "kill-thread" }
  | { readonly kind: "trap"; readonly data: number }
  | { readonly kind: "log" }
  | { readonly kind: "trace"; readonly data: number }
  | { readonly kind: "notify" }
  | { readonly kind: "ask" };

/** A number as people write it. */
export type Value =
  | { readonly kind: "integer"; readonly value: bigint; readonly span?: Span }
  | { readonly kind: "constant"; readonly name: string; readonly span?: Span }
  /** The two's complement: `-1`. */
  | { readonly kind: "negative"; readonly item: Value; readonly span?: Span }
  /** The complement in the argument's width: `~O_CLOEXEC`. */
  | { readonly kind: "complement"; readonly item: Value; readonly span?: Span }
  /** Flags together: `PROT_WRITE | PROT_EXEC`. */
  | { readonly kind: "union"; readonly items: readonly Value[]; readonly span?: Span };

/** What a condition looks at, with the bits that it looks at. */
export interface Operand {
  readonly word:
    | { readonly kind: "argument"; readonly name: string }
    /** `args[N]`: the raw 64-bit word. */
    | { readonly kind: "raw"; readonly index: number }
    /** `ip`: the instruction pointer. */
    | { readonly kind: "ip" };
  readonly mask?: Value;
  readonly span?: Span;
}

export type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** Both ends belong to the range. */
export interface ValueRange {
  readonly low: Value;
  readonly high: Value;
}

export type Test =
  | { readonly kind: "nonzero" }
  | { readonly kind: "compare"; readonly operator: ComparisonOperator; readonly value: Value }
  | { readonly kind: "in"; readonly negated: boolean; readonly items: readonly ValueRange[] }
  /** No bit outside the value is set. */
  | { readonly kind: "within"; readonly value: Value };

export type Condition =
  | { readonly kind: "or"; readonly items: readonly Condition[]; readonly span?: Span }
  | { readonly kind: "and"; readonly items: readonly Condition[]; readonly span?: Span }
  | { readonly kind: "not"; readonly item: Condition; readonly span?: Span }
  | { readonly kind: "test"; readonly operand: Operand; readonly test: Test; readonly span?: Span };

/** A condition as it is told: some parts of it may be what filters ask and policies cannot, in words. */
export type ToldCondition =
  | Extract<Condition, { readonly kind: "test" }>
  | { readonly kind: "or"; readonly items: readonly ToldCondition[] }
  | { readonly kind: "and"; readonly items: readonly ToldCondition[] }
  | { readonly kind: "not"; readonly item: ToldCondition }
  | { readonly kind: "words"; readonly words: string; readonly opposite: string };

/** Which calls a rule is about. */
export interface Selector {
  readonly abi?: AbiName;
  readonly target:
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "group"; readonly name: string }
    | { readonly kind: "number"; readonly nr: number }
    | { readonly kind: "any" };
  readonly condition?: Condition;
  readonly span?: Span;
}

export interface Rule {
  readonly action: Action;
  readonly selectors: readonly Selector[];
  /** What stands after ` # `: shown wherever the rule decides. */
  readonly reason?: string;
  readonly span?: Span;
}

/** Which of the kernel's interfaces a policy has rules for; `native` and `all` are the target machine's. */
export type AbiSelection = readonly (AbiName | "native" | "all")[];

export interface SyscallRules {
  /** When no rule matches. */
  readonly default: Action;
  /** A call that appeared after this version needs a rule with its own name … */
  readonly baseline?: KernelVersion;
  /** … or gets this; so does a number that is not known at all. */
  readonly newer: Action;
  readonly abis: AbiSelection;
  readonly otherAbis: Action;
  /** What a condition that a multiplexer hides from filters means: refuse, or let through what it might allow. */
  readonly multiplexed: "strict" | "open";
  /** Deny-type rules that nothing overrides: they come before all others. */
  readonly require: readonly Rule[];
  /** Tried from top to bottom; the first that matches decides. */
  readonly rules: readonly Rule[];
}

/** Files that the program may use; paths as written, resolved when a plan is made. */
export interface FileRules {
  readonly read: readonly string[];
  readonly write: readonly string[];
}

export interface NetworkRules {
  readonly mode: "off" | "host" | "ports";
  readonly ports: readonly number[];
}

/** Sizes in bytes, times in seconds. */
export interface Limits {
  readonly memory?: number;
  readonly processes?: number;
  readonly cpuTime?: number;
  readonly wallTime?: number;
  readonly fileSize?: number;
  readonly openFiles?: number;
}

export interface EnvironmentRules {
  /** Names that are passed on; a trailing `*` matches any rest. */
  readonly keep: readonly string[];
  readonly set: Readonly<Record<string, string>>;
}

export interface Hardening {
  readonly newCode: "allow" | "deny";
  readonly exec: "any" | "files";
  readonly missingLayers: readonly string[];
}

/** One policy, with everything that it extends already in it. */
export interface Policy {
  readonly version: 1;
  readonly name?: string;
  /** What `check` proves of the file itself: each call that a line selects gets the line's action. */
  readonly expect?: readonly Rule[];
  readonly syscalls: SyscallRules;
  readonly files?: FileRules;
  readonly network?: NetworkRules;
  readonly limits?: Limits;
  readonly environment?: EnvironmentRules;
  readonly hardening?: Hardening;
}
