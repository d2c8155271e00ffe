/** Where a start's policy and filters come from: read and compiled (`read-start.ts`), or ready (`ready-start.ts`). */
import type { Limits, Policy } from "../policy/types.ts";
import type { FilterMaker } from "../sandbox/filter-set.ts";
import type { ParsedArguments } from "./arguments.ts";
import type { PolicyFile } from "./ask/always.ts";
import type { Caller } from "./caller.ts";

interface FoundPolicy {
  readonly policy: Policy;
  /** The file that it was read from, where there is one. */
  readonly file: PolicyFile | undefined;
  /** Every file that it was read from. */
  readonly files: readonly string[];
}

export interface StartPolicy {
  /** The policy that the command line names, with its rules; or why there is none, of which the user was told. */
  readonly policy: (parsed: ParsedArguments, caller: Caller) => FoundPolicy | "unreadable" | "policy";
  /** With the rules of a program that is asked about on its own terminal. */
  readonly keepTerminal: (policy: Policy) => Policy;
  /** What the command line limits; undefined where that has mistakes, of which the user was told. */
  readonly limits: (parsed: ParsedArguments) => Limits | undefined;
  readonly filters: FilterMaker;
}
