// What callers in JavaScript can get wrong: a TypeError that says what belongs there, never an answer to something else.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  compile,
  compileStack,
  decompile,
  diff,
  emulate,
  evaluate,
  merge,
  prove,
  readFilter,
  readPolicy,
  spawn,
  writePolicy,
} from "../src/index.ts";

const read = readPolicy('version = 1\n[syscalls]\nrules = "allow getpid"\n', { target: "x86_64" }).policy;
assert.ok(read !== undefined);
const policy = read;
const filter = compile(policy, { target: "x86_64" });

/** Calls a function as JavaScript lets one. */
const callWith =
  (called: unknown, ...args: readonly unknown[]): (() => unknown) =>
  () =>
    Reflect.apply(called as () => unknown, undefined, args);

const call = { abi: "x86_64", syscall: "read", args: [] };
const seen = { arch: 0xc000003e, nr: 0, args: [] };

/** What is no policy, and what is no filter. */
const nothings = [undefined, null, 5, "default", {}, { syscalls: null }, { syscalls: { default: "deny" } }];
const cases: readonly (readonly [string, () => unknown, RegExp])[] = [
  ...nothings.flatMap((nothing): (readonly [string, () => unknown, RegExp])[] => {
    const text = JSON.stringify(nothing);
    const noPolicy = /^this is no policy: readPolicy and loadPolicy give one/;
    const noFilter = /^this is no filter: compile and readFilter give one/;
    return [
      [`evaluate ${text}`, callWith(evaluate, nothing, call), noPolicy],
      [`compile ${text}`, callWith(compile, nothing), noPolicy],
      [`compileStack ${text}`, callWith(compileStack, nothing), noPolicy],
      [`prove a policy ${text}`, callWith(prove, filter, nothing), noPolicy],
      [`writePolicy ${text}`, callWith(writePolicy, nothing, "toml"), noPolicy],
      [`prove ${text}`, callWith(prove, nothing, policy), noFilter],
      [`emulate ${text}`, callWith(emulate, nothing, seen), noFilter],
      [`merge ${text}`, callWith(merge, [filter, nothing]), noFilter],
      [`diff a stack ${text}`, callWith(diff, [nothing], filter), noFilter],
      [`diff ${text}`, callWith(diff, nothing, filter), /^(?:a policy, a filter or|this is no)/],
      [`decompile ${text}`, callWith(decompile, nothing), /^(?:a policy, a filter or|this is no)/],
      [`readFilter ${text}`, callWith(readFilter, nothing), /a Uint8Array/],
      [`evaluate a call ${text}`, callWith(evaluate, policy, nothing), /^a call is \{ abi, syscall, args \}/],
      [`emulate a call ${text}`, callWith(emulate, filter, nothing), /\{ arch, nr, args \}/],
    ];
  }),
  [
    "compile for",
    callWith(compile, policy, { optimize: "fast" }),
    /^there is no optimization "fast": optimizations are kernel, size, classic$/,
  ],
  [
    "compile for a name of every object",
    callWith(compile, policy, { optimize: "constructor" }),
    /"constructor"/,
  ],
  ["merge for", callWith(merge, [filter], { optimize: "fast" }), /^there is no optimization "fast"/],
  ...[compile, compileStack].map((one): readonly [string, () => unknown, RegExp] => [
    `${one.name}, another machine`,
    callWith(one, policy, { target: "amd64" }),
    /^there is no ABI "amd64": did you mean x86_64\?$/,
  ]),
  [
    "prove, another machine",
    callWith(prove, filter, policy, { target: "vax" }),
    /^there is no ABI "vax": ABIs are/,
  ],
  [
    "evaluate, another machine",
    callWith(evaluate, policy, call, { target: "vax" }),
    /^there is no ABI "vax"/,
  ],
  ["merge, another machine", callWith(merge, [filter], { target: "vax" }), /^there is no ABI "vax"/],
  [
    "writePolicy, another machine",
    callWith(writePolicy, policy, "toml", { target: "vax" }),
    /^there is no ABI "vax"/,
  ],
  [
    "readPolicy, another machine",
    callWith(readPolicy, "version = 1", { target: "vax" }),
    /^there is no ABI "vax"/,
  ],
  [
    "readPolicy, another format",
    callWith(readPolicy, "version: 1", { format: "yaml" }),
    /^there is no format "yaml": formats are toml, json, lxc, oci$/,
  ],
  ["a call of no ABI", callWith(evaluate, policy, { ...call, abi: "vax" }), /^there is no ABI "vax"/],
  ["a number of no ABI", callWith(evaluate, policy, { abi: "vax", syscall: 1 }), /^there is no ABI "vax"/],
  ...[Number.NaN, 1.5, 2 ** 32, -(2 ** 31) - 1, 5n, null].map(
    (syscall): readonly [string, () => unknown, RegExp] => [
      `the number ${syscall}`,
      callWith(evaluate, policy, { abi: "x86_64", syscall }),
      /^syscall is a call's name, or its number: 32 bits/,
    ],
  ),
  ...[[1], [1n, "2"], "3", [1n, 2n, 3n, 4n, 5n, 6n, 7n]].flatMap(
    (args): (readonly [string, () => unknown, RegExp])[] => [
      [
        `evaluate with ${args}`,
        callWith(evaluate, policy, { ...call, args }),
        /^args is an array of at most six BigInts/,
      ],
      [
        `emulate with ${args}`,
        callWith(emulate, filter, { ...seen, args }),
        /^args is an array of at most six BigInts/,
      ],
    ],
  ),
  ["emulate with an ABI's name", callWith(emulate, filter, { ...seen, arch: "x86_64" }), /AUDIT_ARCH/],
  ["a command with a NUL", callWith(spawn, "a\0b", [], { policy: "default" }), /NUL/],
];

describe("usage", () => {
  for (const [name, run, message] of cases)
    test(name, () => assert.throws(run, { name: "TypeError", message }));

  test("numbers at both ends of 32 bits are numbers", () => {
    for (const syscall of [-1, 2 ** 32 - 1, -(2 ** 31), 2 ** 31])
      assert.equal(evaluate(policy, { abi: "x86_64", syscall }).action.kind, "errno");
  });
});
