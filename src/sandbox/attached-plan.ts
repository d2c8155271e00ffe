/** Launcher and plan in one file: a copy of the launcher that needs neither Node nor callgate. */
import { encodePlan, type Plan } from "./plan.ts";

/** Stands once in the launcher; behind it the copy's plans are named, each by u64 offset and u64 length. */
const mark = "callgate's plan is at:\0\0";

/**
 * A copy of the launcher with the plan behind it. Executed, it carries the plan out, whatever its arguments are.
 * @param forRoot another plan, for uid 0
 * @throws PlanError for a plan that the launcher would refuse
 */
export function attachPlan(launcher: Uint8Array, plan: Plan, forRoot?: Plan): Uint8Array {
  const at = Buffer.from(launcher.buffer, launcher.byteOffset, launcher.length).indexOf(mark, 0, "latin1");
  if (at === -1)
    throw new Error("the launcher has no place for a plan: launcher and callgate are of different versions");
  const plans = [plan, ...(forRoot === undefined ? [] : [forRoot])].map(encodePlan);
  const parts: Uint8Array[] = [launcher];
  let length = launcher.length;
  const places = plans.map((bytes) => {
    const offset = Math.ceil(length / 8) * 8;
    parts.push(new Uint8Array(offset - length), bytes);
    length = offset + bytes.length;
    return { offset, length: bytes.length };
  });
  const whole = new Uint8Array(Buffer.concat(parts));
  const view = new DataView(whole.buffer);
  for (const [index, place] of places.entries()) {
    view.setBigUint64(at + mark.length + index * 16, BigInt(place.offset), true);
    view.setBigUint64(at + mark.length + index * 16 + 8, BigInt(place.length), true);
  }
  return whole;
}
