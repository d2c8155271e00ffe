/**
 * How long compiling and proving takes in one Node: a program of its own, so that several Nodes can be compared. It prints
 * a row for each policy: its name, the least and the median time of some rounds in a warm process, and the least time that the
 * processor was busy with one (on a busy machine the others are longer), in milliseconds.
 */
import { compileStack } from "../src/compiler/stack.ts";
import { readPolicy } from "../src/formats/index.ts";
import type { Policy } from "../src/policy/types.ts";
import { compileText, policyNames, profileOf } from "./profiles.ts";

const target = "x86_64";

function printTimes(name: string, warmUp: number, rounds: number, work: () => unknown): void {
  const times: number[] = [];
  let busy = Number.POSITIVE_INFINITY;
  for (let round = -warmUp; round < rounds; round += 1) {
    const [before, begin] = [process.cpuUsage(), performance.now()];
    work();
    const [time, { user, system }] = [performance.now() - begin, process.cpuUsage(before)];
    if (round < 0) continue;
    times.push(time);
    busy = Math.min(busy, (user + system) / 1000);
  }
  times.sort((a, b) => a - b);
  console.log(`${name}\t${times[0]}\t${times[rounds >> 1]}\t${busy}`);
}

/** A policy of numbered rules, the last of which allows the rest. */
function manyRules(count: number, rule: (index: number) => string): Policy {
  const rules = [...Array(count).keys()].map(rule);
  const text = `version = 1\n[syscalls]\nrules = '''\n${rules.join("\n")}\nallow *\n'''\n`;
  const { policy } = readPolicy(text, { target });
  if (policy === undefined) throw new Error("a policy of the bench has errors");
  return policy;
}

for (const name of policyNames) {
  const { text } = profileOf(name);
  printTimes(name, 5, 15, () => compileText(text, "kernel"));
}
const oneCall = manyRules(5000, (i) => `errno(${(i % 7) + 1}) personality(persona == ${i * 3})`);
printTimes("5,000 rules on one call", 1, 3, () => compileStack(oneCall, { target }));
const twoArguments = manyRules(
  5000,
  (i) => `errno(${(i % 7) + 1}) dup3(oldfd == ${i * 3} && newfd == ${(i * 7919) % 5003})`,
);
printTimes("the same, of two arguments", 1, 3, () => compileStack(twoArguments, { target }));
const eitherArgument = manyRules(
  5000,
  (i) => `errno(${(i % 7) + 1}) dup3(oldfd == ${i * 3} || newfd == ${(i * 7919) % 5003})`,
);
printTimes("the same, either of two", 0, 1, () => compileStack(eitherArgument, { target }));
const manyCalls = manyRules(
  600,
  (i) => `errno(${(i % 7) + 1}) x86_64:#${i}(args[0] == ${i % 50} || args[1] > ${i})`,
);
printTimes("600 calls with conditions", 1, 3, () => compileStack(manyCalls, { target }));
