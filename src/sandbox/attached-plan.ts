/** Launcher and plan in one file: a copy of the launcher that needs neither Node nor callgate. */
import { encodePlan, type Plan } from "./plan.ts";

/**
 * Stands once in the launcher; behind it the copy's plans are named, each by u64 offset and u64 length, and then how many
 * bytes behind the second one's header are the first one's.
 */
const mark = "callgate's plan is at:\0\0";

/** Of a plan: its length and its checksum are in it, and so no two are alike in it. */
const headerSize = 40;

/** How much two plans have in common behind their headers: the words of their reports, which are most of them. */
function sharedLength(one: Uint8Array, other: Uint8Array): number {
  const most = Math.min(one.length, other.length);
  let at = headerSize;
  while (at < most && one[at] === other[at]) at += 1;
  return at - headerSize;
}

/**
 * A copy of the launcher with the plan behind it. Executed, it carries the plan out, whatever its arguments are.
 * @param forRoot another plan, for uid 0
 * @throws PlanError for a plan that the launcher would refuse
 */
export function attachPlan(launcher: Uint8Array, plan: Plan, forRoot?: Plan): Uint8Array {
  const at = Buffer.from(launcher.buffer, launcher.byteOffset, launcher.length).indexOf(mark, 0, "latin1");
  if (at === -1)
    throw new Error("the launcher has no place for a plan: launcher and callgate are of different versions");
  const first = encodePlan(plan);
  const second = forRoot === undefined ? undefined : encodePlan(forRoot);
  const shared = second === undefined ? 0 : sharedLength(first, second);
  const parts: Uint8Array[] = [launcher];
  let length = launcher.length;
  const append = (...pieces: readonly Uint8Array[]): number => {
    const offset = Math.ceil(length / 8) * 8;
    parts.push(new Uint8Array(offset - length), ...pieces);
    length = pieces.reduce((sum, piece) => sum + piece.length, offset);
    return offset;
  };
  const places = [{ offset: append(first), length: first.length }];
  if (second !== undefined) {
    const own = [second.subarray(0, headerSize), second.subarray(headerSize + shared)];
    places.push({ offset: append(...own), length: second.length });
  }
  const whole = new Uint8Array(Buffer.concat(parts));
  const view = new DataView(whole.buffer);
  for (const [index, place] of places.entries()) {
    view.setBigUint64(at + mark.length + index * 16, BigInt(place.offset), true);
    view.setBigUint64(at + mark.length + index * 16 + 8, BigInt(place.length), true);
  }
  view.setBigUint64(at + mark.length + 32, BigInt(shared), true);
  return whole;
}
