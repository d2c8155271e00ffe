/** Launcher and plan in one file: a copy of the launcher that needs neither Node nor callgate. */
import { encodePlan, type Plan } from "./plan.ts";

/** Stands once in the launcher; behind it the copy's plan is named: u64 offset, u64 length. */
const mark = "callgate's plan is at:\0\0";

/**
 * A copy of the launcher with the plan behind it. Executed, it carries the plan out, whatever its arguments are.
 * @throws PlanError for a plan that the launcher would refuse
 */
export function attachPlan(launcher: Uint8Array, plan: Plan): Uint8Array {
  const at = Buffer.from(launcher.buffer, launcher.byteOffset, launcher.length).indexOf(mark, 0, "latin1");
  if (at === -1)
    throw new Error("the launcher has no place for a plan: launcher and callgate are of different versions");
  const bytes = encodePlan(plan);
  const offset = Math.ceil(launcher.length / 8) * 8;
  const whole = new Uint8Array(offset + bytes.length);
  whole.set(launcher);
  whole.set(bytes, offset);
  const view = new DataView(whole.buffer);
  view.setBigUint64(at + mark.length, BigInt(offset), true);
  view.setBigUint64(at + mark.length + 8, BigInt(bytes.length), true);
  return whole;
}
