/** Where there can be a supervisor. */
import { thisMachine } from "./layers.ts";

/**
 * Why there can be no supervisor on this machine that the program cannot reach; undefined where there can.
 * @param isAlone whether the program gets a user and a pid namespace of its own
 */
export function whyNoSupervisor(isAlone: boolean): string | undefined {
  const { landlock } = thisMachine();
  // A program without namespaces is kept from its supervisor by a Landlock domain; version 2 lets it move its files.
  if (isAlone || landlock >= 2) return undefined;
  return "without namespaces and without Landlock (Linux 5.19) the program could take the place of the supervisor, which answers denied calls";
}
