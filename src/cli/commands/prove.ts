/** `callgate prove`: whether a filter says the same as a policy, and where not, a call that shows it. */
import { type Filter, returnValueName } from "../../bpf/index.ts";
import { handedUp } from "../../denials/index.ts";
import { place, sanitise } from "../../diagnostics/index.ts";
import { counted } from "../../diagnostics/words.ts";
import { printAction } from "../../policy/action.ts";
import { evaluateWords } from "../../policy/evaluate.ts";
import { printRule } from "../../policy/printer.ts";
import { resolveSound } from "../../policy/resolve.ts";
import type { Decision, ResolvedPolicy } from "../../policy/resolved.ts";
import type { Policy } from "../../policy/types.ts";
import { type Difference, diff, UndecidedError } from "../../proof/diff.ts";
import { compareStackMembers, type StackDifference, type StackVerdict } from "../../proof/stack.ts";
import { writtenCall } from "../../proof/written-call.ts";
import { withSandboxRules } from "../../sandbox/sandbox-rules.ts";
import { type AbiName, abis, hostAbi } from "../../syscalls/index.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { loadComparable, loadStack } from "../comparable.ts";
import { print, printError } from "../output.ts";
import { readingOf, targetOf } from "../reading.ts";

export function main(parsed: ParsedArguments): number {
  const [filterFile, policyFile, ...more] = parsed.operands;
  if (filterFile === undefined || policyFile === undefined || more.length > 0)
    throw new UsageError("prove takes a filter and a policy: callgate prove FILTER POLICY");
  if (filterFile === "-" && policyFile === "-")
    throw new UsageError("standard input can be one of the two only: it is read once");
  const stack = loadStack(filterFile, "prove");
  const loaded =
    stack === undefined ? undefined : loadComparable(policyFile, "prove", readingOf(parsed, policyFile));
  if (stack === undefined || loaded === undefined) return 2;
  if (loaded.kind !== "policy") {
    printError(`callgate prove: ${sanitise(policyFile)} is a filter: callgate diff compares two filters\n`);
    return 2;
  }
  const { filters } = stack;
  const target = targetOf(parsed) ?? hostAbi();
  const start = performance.now();
  const { policy, resolved, verdict, added } = compared(
    filters,
    loaded.policy,
    target,
    stack.process !== undefined,
  );
  const milliseconds = Math.max(1, Math.round(performance.now() - start));
  const asJson = hasOption(parsed, "json");
  const [filterName, policyName] = [sanitise(stack.name), `${sanitise(policyFile)}${added}`];
  switch (verdict.verdict) {
    case "equal": {
      const perAbi = resolved.abis.map(({ abi }) => ({ abi: abi.name, verdict: "proved" }));
      if (asJson)
        print(
          `${JSON.stringify({ verdict: "proved", abis: perAbi, regions: verdict.regions, milliseconds })}\n`,
        );
      else {
        print(`proved: ${filterName} says the same as ${policyName}\n`);
        print(
          `${perAbi.map((one) => one.abi).join(", ")}: every number and argument; and every other architecture\n`,
        );
        print(`${counted(verdict.regions, "region")}, ${milliseconds} ms\n`);
      }
      return 0;
    }
    case "undecided":
      if (asJson)
        print(`${JSON.stringify({ verdict: "undecided", reason: verdict.reason, milliseconds })}\n`);
      else print(`undecided: ${verdict.reason}\n`);
      return 3;
    case "different": {
      const differences = differencesOf(filters, policy, target);
      const different = differences && new Set<string>(differences.map((one) => one.abi ?? ""));
      const witness = firstOf(differences) ?? verdict.witness;
      const perAbi = resolved.abis.map(({ abi }) => ({
        abi: abi.name,
        verdict: different === undefined ? "unknown" : different.has(abi.name) ? "refuted" : "proved",
      }));
      const call = writtenCall(witness.arch, witness.nr, witness.args);
      const decision = decisionOf(resolved, witness);
      if (asJson)
        print(
          `${JSON.stringify({
            verdict: "refuted",
            abis: perAbi,
            witness: {
              abi: witness.abi ?? null,
              arch: witness.arch,
              nr: witness.nr,
              args: witness.args.map(String),
              call,
              filter: returnValueName(witness.first),
              policy: printAction(decision.action),
            },
            milliseconds,
          })}\n`,
        );
      else {
        print(`refuted: ${filterName} does not say the same as ${policyName}\n`);
        print(`${(witness.abi ?? "other").padEnd(8)}${call}\n`);
        print(`        the filter returns ${returnValueName(witness.first)}\n`);
        print(`        the policy says ${printAction(decision.action)}, ${sourceOf(decision)}\n`);
        for (const one of perAbi)
          print(
            `${one.abi.padEnd(8)}${{ refuted: "differs", proved: "equal", unknown: "not decided" }[one.verdict] ?? one.verdict}\n`,
          );
        print(`${milliseconds} ms; callgate diff lists every difference\n`);
      }
      return 1;
    }
  }
}

interface Compared {
  readonly policy: Policy;
  readonly resolved: ResolvedPolicy;
  readonly verdict: StackVerdict;
  /** What was added to the policy, in words. */
  readonly added: string;
}

/**
 * Compares filters with a policy. A process may have been started by `run`, whose other layers have rules in the
 * filter too, and whose supervisor is handed the refusals: where it does not say the same as the policy alone, it is
 * compared with the policy and these.
 */
function compared(
  filters: readonly Filter[],
  policy: Policy,
  target: AbiName | undefined,
  isProcess: boolean,
): Compared {
  const compareWith = (one: Policy, added: string): Compared => {
    const resolved = resolveSound(one, target);
    const verdict = compareStackMembers(
      filters.map((filter) => ({ filter })),
      [{ resolved }],
    );
    return { policy: one, resolved, verdict, added };
  };
  const alone = compareWith(policy, "");
  // What a filter computes is no easier to follow beside another policy.
  if (!isProcess || alone.verdict.verdict !== "different") return alone;
  const ways: readonly (readonly [policy: Policy, added: string])[] = [
    [policy, ""],
    [withSandboxRules(policy, true), " with the rules of run's sandbox"],
    [withSandboxRules(policy, false), " with the rules of run's sandbox without namespaces"],
  ];
  // A supervisor that reports denials answers them as the policy does; in the process's own filter they are handed up.
  for (const [one, added] of ways)
    for (const [asked, how] of [
      [one, ""],
      [handedUp(one), ", refusals handed to callgate's supervisor"],
    ] as const) {
      const inSandbox = compareWith(asked, `${added}${how}`);
      if (inSandbox.verdict.verdict === "equal") return inSandbox;
    }
  return alone;
}

/** All differences; undefined where they are not decided. */
function differencesOf(
  filters: Parameters<typeof diff>[0],
  policy: Parameters<typeof diff>[1],
  target: AbiName | undefined,
): readonly Difference[] | undefined {
  try {
    return diff(filters, policy, target === undefined ? {} : { target });
  } catch (error) {
    if (error instanceof UndecidedError) return undefined;
    throw error;
  }
}

/** A witness on the ABI that readers know best. */
function firstOf(differences: readonly Difference[] | undefined): StackDifference | undefined {
  const [first] = differences ?? [];
  if (first === undefined) return undefined;
  const { arch, nr, args, returnValues } = first.witness;
  return { arch, abi: first.abi, nr, args, first: returnValues[0], second: returnValues[1] };
}

function decisionOf(resolved: ResolvedPolicy, { arch, abi, nr, args }: StackDifference): Decision {
  if (abi === undefined || !abis.some((one) => one.arch === arch))
    return { ...resolved.otherAbis, rule: undefined };
  const wordAt = (index: number): bigint => {
    const whole = index < 4 ? 0n : (args[(index - 4) >> 1] ?? 0n);
    return BigInt.asUintN(32, index % 2 === 0 ? whole : whole >> 32n);
  };
  return evaluateWords(resolved, abi, nr, wordAt);
}

function sourceOf({ by, rule }: Decision): string {
  if (rule === undefined) return `by ${by}`;
  return `by ${rule.span === undefined ? "" : `${place(rule.span)}  `}${sanitise(printRule(rule))}`;
}
