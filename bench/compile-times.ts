/**
 * How long compiling and proving takes in one Node: a program of its own, so that several Nodes can be compared. It prints
 * a row for each policy: the least and the median of some rounds of a warm process, in milliseconds.
 */
import { compileText, policyNames, profileOf } from "./profiles.ts";

const rounds = 15;

for (const name of policyNames) {
  const { text } = profileOf(name);
  const times: number[] = [];
  // The first rounds warm it.
  for (let round = -5; round < rounds; round += 1) {
    const begin = performance.now();
    compileText(text, "kernel");
    if (round >= 0) times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  console.log(`${name} ${times[0]} ${times[rounds >> 1]}`);
}
