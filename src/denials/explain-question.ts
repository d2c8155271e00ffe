/** Questions: calls that wait until somebody has said whether they may be made. */
import { evaluate } from "../policy/evaluate.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import { type Denial, explainDenial, type RawDenial } from "./describe-denial.ts";

/** What is asked: the call, who makes it, which rule has it asked about, and the narrowest rule that would permit it. */
export interface Question extends Omit<Denial, "errno" | "count" | "asked"> {
  /** The six argument registers. Those of a question are scalars: no one can change them while it is open. */
  readonly args: readonly bigint[];
}

/** `once`: this one call. `run`: also every one like it until the program ends. `deny`: none like it until then. */
export type Answer = "once" | "run" | "deny";

/** The question behind a call that is handed up; undefined where the policy does not ask about it. */
export function explainQuestion(policy: Policy, raw: RawDenial, native: AbiName): Question | undefined {
  const { action } = evaluate(policy, { abi: raw.abi, syscall: raw.nr, args: raw.args }, { target: native });
  const denial = action.kind === "ask" ? explainDenial(policy, raw, native) : undefined;
  if (denial === undefined) return undefined;
  const { errno: _errno, count: _count, asked: _asked, ...rest } = denial;
  return { ...rest, args: raw.args };
}
