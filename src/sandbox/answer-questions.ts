/** `onAsk`: a caller of the library answers what the policy asks about. */
import type { Socket } from "node:net";
import { type Answer, explainQuestion, type Question } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import { recordReader, verdictBytes } from "./denial-records.ts";

/**
 * Answers one question. It is asked again for a like call after `once`, never in this run after `run` and `deny`.
 * @param signal aborted when nobody waits for the answer any more: the caller was interrupted, or has ended
 */
export type OnAsk = (question: Question, signal: AbortSignal) => Promise<Answer>;

const verdicts: readonly unknown[] = ["once", "run", "deny"];

/** Reads a supervisor's questions and writes what the callback answers, in any order. */
export function answerQuestions(
  records: Socket,
  policy: Policy,
  { onAsk, native }: { readonly onAsk: OnAsk; readonly native: AbiName },
): void {
  const open = new Map<number, AbortController>();
  const withdraw = (key: number): void => {
    open.get(key)?.abort();
    open.delete(key);
  };
  const ask = async (question: Question | undefined, signal: AbortSignal): Promise<Answer> => {
    if (question === undefined) return "deny";
    try {
      const verdict: unknown = await onAsk(question, signal);
      if (isAnswer(verdict)) return verdict;
      warn(`it answered ${String(verdict)}, which is none of "once", "run" and "deny"`);
    } catch (error) {
      if (!signal.aborted) warn(error instanceof Error ? error.message : String(error));
    }
    return "deny";
  };
  const read = recordReader();
  records.on("data", (bytes: Buffer) => {
    for (const record of read(bytes)) {
      if (record.kind === "withdrawn") withdraw(record.key);
      if (record.kind !== "question") continue;
      // The same question of another thread takes the place of the old one.
      withdraw(record.key);
      const { key, turn } = record;
      const controller = new AbortController();
      open.set(key, controller);
      ask(explainQuestion(policy, record.call, native), controller.signal).then((verdict) => {
        if (controller.signal.aborted) return;
        open.delete(key);
        records.write(verdictBytes(key, turn, verdict));
      });
    }
  });
  // The supervisor is gone, and with it everybody who waited.
  records.on("error", () => records.destroy());
  records.on("close", () => {
    for (const key of [...open.keys()]) withdraw(key);
  });
}

function isAnswer(value: unknown): value is Answer {
  return verdicts.includes(value);
}

/** A callback that fails refuses; who wrote it should know. */
function warn(why: string): void {
  process.emitWarning(`onAsk: ${why}: the call is refused`, "CallgateWarning");
}
