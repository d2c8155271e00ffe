// `explain` shows every number that a rule on a call governs: its twins, each with what it decides there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { scratchFile } from "../kernel/native.ts";
import { callgate } from "./callgate.ts";

const policy = scratchFile(
  "twins.toml",
  'version = 1\n[syscalls]\ndefault = "allow"\nbaseline = "6.1"\nabis = ["x86_64", "x86"]\nrules = "deny setuid, mmap(prot & PROT_EXEC), wait4(options == 1)"\n',
);
interface Row {
  readonly abi: string;
  readonly syscall: string;
  readonly nr: number;
  readonly action: string;
  readonly twinOf: string | null;
}
const explained = (call: string): readonly Row[] =>
  callgate(["explain", "--json", policy, call])
    .stdout.trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);
const short = ({ abi, syscall, nr, action, twinOf }: Row): string =>
  [abi, syscall, nr, action, twinOf].join(" ");

test("the twins of a call, on the ABIs that have them", () => {
  assert.deepEqual(explained("setuid(0)").map(short), [
    "x86_64 setuid 105 errno ",
    "x86 setuid 23 errno ",
    "x86 setuid32 213 errno setuid",
  ]);
  assert.deepEqual(explained("x86_64:getpid").map(short), ["x86_64 getpid 39 allow "]);
});

test("a name that only another ABI has is answered by its twin", () => {
  assert.deepEqual(explained("setuid32").map(short), [
    "x86_64 setuid 105 errno setuid32",
    "x86 setuid32 213 errno ",
    "x86 setuid 23 errno setuid32",
  ]);
});

test("arguments are given to a twin by their names; what it does not have stays open", () => {
  const [, , ...mmap2] = explained("mmap(0, 4096, PROT_READ, MAP_PRIVATE, -1, 4096)").map(short);
  assert.deepEqual(mmap2, ["x86 mmap2 192 allow mmap"]);
  assert.deepEqual(explained("x86:wait4(1, 0, 1, 0)").map(short), [
    "x86 wait4 114 errno ",
    "x86 waitpid 7 errno wait4",
  ]);
  const { stdout } = callgate(["explain", policy, "x86:wait4(1, 0, 1, 0)"]);
  assert.match(stdout, /^x86 {5}waitpid\(.*options = 1.*\), twin of wait4\ndeny {4}EPERM/m);
});
