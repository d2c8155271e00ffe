// What every learned policy's text has to say.
import assert from "node:assert/strict";
import { architecture } from "./native.ts";

/**
 * Each rule that was learned says by which program it was first seen, how often, and of a server when; or from which call it is
 * derived, which then is one of those that were seen.
 */
export function rulesAreExplained(policy: string, isServer = false): void {
  const seen =
    /^# Seen\.\n([^']*)'''$/m
      .exec(policy)?.[1]
      ?.split("\n")
      .filter((line) => line !== "") ?? [];
  const when = isServer ? "(?:, in start-up only|, later|, in start-up and later)" : "";
  const own = new RegExp(`^allow (?:\\w+:)?([\\w#]+).*  # \\S.* ×\\d+(?:${when}|, in the whole sandbox)$`);
  const derived = /^allow \w+.* {2}# derived from (\w+)$/;
  const calls = new Set(seen.map((line) => own.exec(line)?.[1]));
  assert.ok(calls.size > 1, policy);
  for (const line of seen) {
    const from = derived.exec(line)?.[1];
    assert.ok(own.test(line) || (from !== undefined && calls.has(from)), line);
  }
  // Opening a file, which each of them has done, by whichever call its C library takes.
  const opens = seen.some((line) => / # derived from openat$/.test(line));
  assert.equal(opens, calls.has("openat") && architecture === "x86_64", policy);
  if (!isServer) return;
  assert.ok(
    seen.some((line) => line.endsWith(", in start-up only")),
    policy,
  );
  assert.ok(
    seen.some((line) => line.endsWith(", later")),
    policy,
  );
}
