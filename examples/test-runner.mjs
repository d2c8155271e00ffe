// A test runner: each test is a process of its own that can be killed, and cannot harm the others.
import { exec, prepare } from "callgate";

const plan = prepare("default");
const tests = {
  "adds up": "[ $((1 + 1)) -eq 2 ]",
  "is wrong": "[ $((1 + 1)) -eq 3 ]",
  "hangs": "sleep 60",
  "crashes": "kill -SEGV $$",
};
const outcome = ({ exitCode, signal, timedOut }) =>
  timedOut ? "too slow" : signal !== null ? `killed by ${signal}` : exitCode === 0 ? "passed" : "failed";
const outcomes = await Promise.all(
  Object.entries(tests).map(async ([name, script]) => {
    const result = await exec("sh", ["-c", script], { policy: plan, timeout: 20_000 });
    return `${name}: ${outcome(result)}`;
  }),
);
console.log(outcomes.join("\n"));
