/**
 * callgate: decide which system calls a program may make.
 *
 * ```ts
 * import { compile, evaluate, exec, prepare, readPolicy, renderDiagnostics } from "callgate";
 *
 * const { policy, diagnostics } = readPolicy(text, { filename: "thumbnailer.toml" });
 * if (policy === undefined) throw new Error(renderDiagnostics(diagnostics));
 * evaluate(policy, { abi: "x86_64", syscall: "socket", args: [16n, 3n, 0n] });   // { action, by, rule }
 * const filter = compile(policy);                                               // proved equal to the policy
 *
 * const plan = prepare("default");                                              // once, for many programs
 * const { stdout } = await exec("./untrusted", [], { policy: plan });           // as is spawn: Node's, under a policy
 * ```
 */
export { type Filter, FilterFormatError, type Instruction, readFilter } from "./bpf/index.ts";
export { type CompileOptions, compile, type Optimize, ProofError, TooLargeError } from "./compiler/index.ts";
export { MergeError, type MergeOptions, merge } from "./compiler/merge.ts";
export { compileStack, type StackOptions } from "./compiler/stack.ts";
export type { Answer, Denial, Question } from "./denials/index.ts";
export type { Diagnostic, Fix, Note, RenderOptions, Severity, Source, Span } from "./diagnostics/index.ts";
export { renderDiagnostics } from "./diagnostics/index.ts";
export { emulate, type FilterInput } from "./emulate.ts";
export { builtinPolicies, type ReadOptions, type ReadResult, readPolicy } from "./formats/index.ts";
export { loadPolicy } from "./formats/load.ts";
export type { PolicyDocument } from "./formats/object.ts";
export { type WritePolicyOptions, type WrittenPolicy, writePolicy, writtenFormats } from "./formats/write.ts";
export { type Call, type EvaluateOptions, evaluate } from "./policy/evaluate.ts";
export type { Decision } from "./policy/resolved.ts";
export type * from "./policy/types.ts";
export {
  type Comparable,
  DecompileError,
  type DecompileOptions,
  type Difference,
  type DifferenceWitness,
  type DiffOptions,
  decompile,
  diff,
  type ProveOptions,
  prove,
  UndecidedError,
  type Verdict,
  type Witness,
} from "./proof/index.ts";
export type { OnAsk } from "./sandbox/answer-questions.ts";
export type { DenialStream } from "./sandbox/denial-stream.ts";
export { type ExecOptions, type ExecResult, exec } from "./sandbox/exec.ts";
export { PlanError } from "./sandbox/plan.ts";
export { PolicyError, type PolicyInput, type PrepareOptions, prepare } from "./sandbox/policy-input.ts";
export { type PreparedPlan as Plan, PrepareError } from "./sandbox/prepare.ts";
export { SandboxError, type StartStep } from "./sandbox/sandbox-error.ts";
export { type Denials, type SandboxOptions, type SpawnOptions, spawn } from "./sandbox/spawn.ts";
export { type AbiName, type KernelVersion, syscallNumber } from "./syscalls/index.ts";
