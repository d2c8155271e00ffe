/**
 * What the launcher starts when there are denials to tell: the supervisor's records come on descriptor 3, the policy is in
 * a file on 4, and where the report goes is on 5 if that is a descriptor of the caller's. Nobody else starts it.
 */
import { appendFileSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { inflateRawSync } from "node:zlib";
import {
  type Denial,
  decodeCall,
  describeDenial,
  describeNetwork,
  explainDenial,
  explainQuestion,
  isNews,
  networkDenial,
} from "../denials/index.ts";
import { errorCode } from "../diagnostics/error-code.ts";
import { sanitise } from "../diagnostics/index.ts";
import { policyOfText } from "../policy/policy-text.ts";
import type { Policy } from "../policy/types.ts";
import { type DenialRecord, recordReader, verdictBytes } from "../sandbox/denial-records.ts";
import { hostAbi } from "../syscalls/index.ts";
import { alwaysInto } from "./ask/always.ts";
import { askOnTerminal } from "./ask/ask-on-terminal.ts";
import { terminalOn } from "./ask/terminal.ts";
import { printError } from "./output.ts";
import { handedFile, ownWords, refuseOwnWord } from "./own-word.ts";
import { type ReportManner, readReport } from "./report-options.ts";

const descriptors = { records: 3, policy: 4, target: 5, terminal: 6 } as const;

/** What is told, by whom and how. */
interface Told extends ReportManner {
  readonly policy: Policy;
}

export async function tellDenials(): Promise<number> {
  const handed = handedFile(descriptors.policy);
  if (handed === undefined) return refuseOwnWord(ownWords.tellDenials, "run");
  const { manner, rules } = readReport(handed);
  const told: Told = { ...manner, policy: policyOfText(inflateRawSync(rules).toString()) };
  const write = writerOf(told);
  const native = hostAbi() ?? "x86_64";
  const denials = new Map<number, Denial>();
  const terminal = terminalOn(descriptors.terminal);
  const records = new Socket({ fd: descriptors.records, readable: true, writable: true });
  const always = alwaysInto(told.policyFile, told.policy, native, new Date().toISOString().slice(0, 10));
  const asking =
    terminal === undefined
      ? undefined
      : askOnTerminal(terminal, told.policy, always, (key, turn, verdict) => {
          records.write(verdictBytes(key, turn, verdict));
        });
  const refuse = ({ key, turn }: { readonly key: number; readonly turn: number }): void => {
    records.write(verdictBytes(key, turn, "deny"));
  };
  let isUnasked = false;
  let hasEnded = false;
  const take = (record: DenialRecord): void => {
    if (record.kind === "denial") {
      const denial = explainDenial(told.policy, record.denial, native);
      if (denial?.asked === true && asking === undefined) isUnasked = true;
      if (denial === undefined || !isTold(denial, told)) return;
      denials.set(record.key, denial);
      if (told.mode === "live") write(describeDenial(denial, told.policy));
    } else if (record.kind === "count") {
      const known = denials.get(record.key);
      if (known !== undefined) denials.set(record.key, { ...known, count: record.count });
    } else if (record.kind === "question") {
      const question = explainQuestion(told.policy, record.call, native);
      if (question === undefined) {
        // Filter and evaluation are proved equal: that they differ here is a mistake of ours, and it refuses.
        printError(
          `callgate: refused without asking: ${sanitise(decodeCall(record.call).text)}: internal error: the policy asks about no such call\n`,
        );
        refuse(record);
      } else if (asking === undefined) {
        isUnasked = true;
        refuse(record);
      } else asking.take(record.key, record.turn, question);
    } else if (record.kind === "withdrawn") {
      asking?.withdraw(record.key);
    } else if (record.kind === "end") {
      asking?.end();
      const problem = terminal?.problem();
      if (isUnasked || problem !== undefined)
        printError(
          `callgate: the policy asks about calls that were refused: ${problem === undefined ? "there is no terminal to ask on" : `the terminal to ask on is gone: ${problem}`}\n`,
        );
      hasEnded = true;
      finish(record, [...denials.values()], told, write);
    }
  };
  // The terminal's signals are for the program: what it was denied is told to the end.
  if (told.mode === "live") for (const signal of terminalSignals) process.on(signal, () => {});
  const read = recordReader();
  records.on("data", (bytes: Buffer) => {
    for (const record of read(bytes)) take(record);
  });
  return new Promise((resolve) => {
    records.on("close", () => {
      asking?.end();
      // Without the last record this is no whole report. The launcher says so: it knows who has ended.
      resolve(hasEnded ? 0 : 1);
    });
    records.on("error", () => records.destroy());
    records.on("end", () => records.destroy());
  });
}

const terminalSignals = ["SIGINT", "SIGQUIT", "SIGHUP", "SIGTSTP", "SIGTTIN", "SIGTTOU"] as const;

function isTold(denial: Denial, { mode }: Told): boolean {
  if (mode === "off") return false;
  return mode === "all" || mode === "json" || isNews(denial);
}

/** What is said at the program's end. */
function finish(
  { lost, withoutRoute }: Extract<DenialRecord, { kind: "end" }>,
  denials: readonly Denial[],
  { policy, mode }: Told,
  write: (text: string) => void,
): void {
  if (mode === "off") return;
  const network = withoutRoute === 0 ? undefined : networkDenial(withoutRoute);
  if (mode === "json") {
    const lines = [
      ...denials.map((one) => ({ layer: "filter", ...one })),
      ...(network === undefined ? [] : [network]),
    ];
    write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  } else {
    const kinds = denials.length + (network === undefined ? 0 : 1);
    const title = `callgate: ${kinds === 1 ? "one kind of call was" : `${kinds} kinds of call were`} denied\n`;
    const before = mode === "live" ? "" : denials.map((one) => describeDenial(one, policy)).join("");
    const after = network === undefined ? "" : describeNetwork(network);
    if (mode !== "live" && kinds > 0) write(title + before + after);
    else if (after !== "") write(after);
  }
  if (lost > 0)
    printError(`callgate: ${lost} more denials were of kinds that the supervisor had no room for\n`);
}

/** To standard error, a file's end, or a descriptor. What cannot be written there is said to be so, and said all the same. */
function writerOf({ file, mode, hasTarget }: Told): (text: string) => void {
  return (text) => {
    if (text === "") return;
    try {
      if (file !== undefined) appendFileSync(file, text, { mode: 0o600 });
      else if (hasTarget) writeSync(descriptors.target, text);
      else printError(text);
    } catch (error) {
      const why = errorCode(error) ?? String(error);
      const where = file === undefined ? "its descriptor" : sanitise(JSON.stringify(file));
      printError(`callgate: cannot write the report (${mode}) to ${where}: ${why}\n${text}`);
    }
  };
}
