/**
 * For commands that compile and prove once, and have ended before V8's optimising compilers would pay: how long these wait
 * before they take up a function, by the Node that has the words. Another Node may not know them, and would say so.
 */
const patience: Readonly<Record<number, readonly string[]>> = {
  20: ["--interrupt-budget=300000"],
  24: ["--invocation-count-for-maglev=4000", "--invocation-count-for-turbofan=100000"],
};

/**
 * Has V8 wait longer before it optimises a function. In a run of a tenth of a second it optimises what is done with soon
 * after, and throws half of that away when the next kind of object comes by: a container's start with a changed statement
 * takes a third less of the processor's time without. What is compiled and proved is the same. A library must not do
 * this to its host; and parts of the command that are loaded afterwards are loaded without V8's caches, which are for
 * its usual flags.
 */
export function expectShortRun(): void {
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  for (const flag of patience[Number.parseInt(process.versions.node, 10)] ?? []) setFlagsFromString(flag);
}
