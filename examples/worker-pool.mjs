// Many small jobs, a few at a time, all under one plan: the policy is compiled and proved once.
import { exec, prepare } from "callgate";

const plan = prepare("default");
const atOnce = 4;
const jobs = Array.from({ length: 24 }, (_, index) => index + 1);
const results = [];
const worker = async () => {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
    const { stdout } = await exec("factor", [String(2 ** job - 1)], { policy: plan });
    results[job - 1] = stdout.trim();
  }
};
await Promise.all(Array.from({ length: atOnce }, worker));
console.log(results.slice(-3).join("\n"));
