// How few tests can tell the numbers of the bench policy `lxc` apart: asks a SAT solver whether any program of N tests does.
//
//     node scripts/smallest-filter.mjs N [SECONDS]       needs Debian's cadical; ends with 0: none, 1: perhaps, 3: not decided
//
// The program has A = nr throughout and consists of JEQ, JGE (and with it JGT) and JSET with any constants and any jumps
// forward; returns are not counted. It has to be right for some chosen numbers only: so "none" holds for all numbers too, and "perhaps"
// is a program that may be wrong on others. The numbers have bits 0–8, 30 and 31, and a constant's other bits make no difference to
// them.
import { spawnSync } from "node:child_process";

const [tests, seconds] = [Number(process.argv[2] ?? 6), process.argv[3] ?? "600"];
const bits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 30, 31];
const [allow, eperm, eacces, kill] = [0, 1, 2, 3];
const answers = 4;

/** What the policy says of a number on x86_64, umount2's flag being set. */
function answerTo(nr) {
  if (nr >= 0x4000_0000 && nr < 0x8000_0000) return kill;
  if (nr === 166) return eacces;
  return [175, 176, 246, 304, 313].includes(nr) ? eperm : allow;
}

// The borders of the stretches, and numbers beyond with bits that a mask could find.
const low = [
  0, 1, 165, 166, 167, 174, 175, 176, 177, 245, 246, 247, 255, 256, 303, 304, 305, 312, 313, 314, 319, 511,
];
const high = [0x4000_0000, 0x8000_0000, 0xc000_0000].flatMap((start) =>
  [0, 166, 176, 246, 313, 511].map((nr) => start + nr),
);
const numbers = [...low, ...high].sort((a, b) => a - b);

let variables = 0;
const clauses = [];
const variable = () => {
  variables += 1;
  return variables;
};
const claim = (...literals) => clauses.push(literals);
const atMostOne = (list) => {
  for (const [at, one] of list.entries()) for (const other of list.slice(at + 1)) claim(-one, -other);
};
const exactlyOne = (list) => {
  claim(...list);
  atMostOne(list);
};

const program = Array.from({ length: tests }, (_, index) => {
  const [isEqual, isAtLeast, isMask] = [variable(), variable(), variable()];
  exactlyOne([isEqual, isAtLeast, isMask]);
  const equals = numbers.map(variable);
  atMostOne(equals);
  // From one number on all are at least as large as the constant.
  const reaches = numbers.map(variable);
  for (const [at, one] of reaches.slice(0, -1).entries()) claim(-one, reaches[at + 1]);
  const mask = bits.map(variable);
  const later = Array.from({ length: tests + answers - index - 1 }, (_, more) => index + 1 + more);
  const targets = later.map((to) => ({ to, whenTrue: variable(), whenFalse: variable() }));
  exactlyOne(targets.map(({ whenTrue }) => whenTrue));
  exactlyOne(targets.map(({ whenFalse }) => whenFalse));
  for (const { whenTrue, whenFalse } of targets) claim(-whenTrue, -whenFalse);
  const outcomes = numbers.map((nr, at) => {
    const holds = variable();
    const found = mask.filter((_, bit) => (BigInt(nr) >> BigInt(bits[bit])) & 1n);
    claim(-isEqual, -holds, equals[at]);
    claim(-isEqual, holds, -equals[at]);
    claim(-isAtLeast, -holds, reaches[at]);
    claim(-isAtLeast, holds, -reaches[at]);
    claim(-isMask, -holds, ...found);
    for (const bit of found) claim(-isMask, -bit, holds);
    return holds;
  });
  return { targets, outcomes };
});

for (const [at, nr] of numbers.entries()) {
  const comes = program.map(variable);
  claim(comes[0]);
  for (const [index, { targets, outcomes }] of program.entries())
    for (const { to, whenTrue, whenFalse } of targets)
      for (const [jump, outcome] of [
        [whenTrue, outcomes[at]],
        [whenFalse, -outcomes[at]],
      ]) {
        if (to < tests) claim(-comes[index], -jump, -outcome, comes[to]);
        else if (to - tests !== answerTo(nr)) claim(-comes[index], -jump, -outcome);
      }
}

const text = `p cnf ${variables} ${clauses.length}\n${clauses.map((one) => `${one.join(" ")} 0\n`).join("")}`;
const { status, error } = spawnSync("cadical", ["-q", "-n", "-t", seconds], { input: text });
if (error !== undefined) {
  console.error(`cadical: ${error.message}`);
  process.exitCode = 2;
} else {
  const verdict = { 10: "perhaps one", 20: "none" }[status] ?? `not decided in ${seconds} seconds`;
  console.log(`a program of ${tests} tests for ${numbers.length} numbers: ${verdict}`);
  process.exitCode = { 10: 1, 20: 0 }[status] ?? 3;
}
