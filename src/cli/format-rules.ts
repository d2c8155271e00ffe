/**
 * The layout of a rule block: actions in one column, one space after a comma, reasons in one column where they fit.
 *
 * Only white space changes. Words, numbers (0o755 stays octal), parentheses, comments, blank lines and the breaks
 * between lines stay as they were written, so that the meaning does.
 */
import { type Token, tokenize } from "../policy/lexer.ts";

/** One line of the block, taken apart. */
type Line =
  | { readonly kind: "blank" }
  | { readonly kind: "comment"; readonly text: string; readonly isInside: boolean }
  | {
      readonly kind: "rule";
      /** Empty on the lines that go on with a rule. */
      readonly action: string;
      readonly body: string;
      readonly reason: string;
    };

/** Reasons stand in one column up to this one; behind longer rules they follow after two spaces. */
const lastReasonColumn = 72;

/** @param text the content of a block, from its first line to the closing quotes */
export function formatRules(text: string): string {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const written = text.split(/\r?\n/);
  // What stands before the closing quotes on their line.
  const last = written.length > 1 && /^[ \t]*$/.test(written.at(-1) ?? "") ? written.pop() : undefined;
  const indent = /^[ \t]*/.exec(written.find((line) => line.trim() !== "") ?? "")?.[0] ?? "";
  const lines = readLines(written);
  const out: string[] = [];
  for (let at = 0; at < lines.length; ) {
    if (lines[at]?.kind === "blank") {
      out.push("");
      at += 1;
      continue;
    }
    const next = lines.findIndex((line, index) => index > at && line.kind === "blank");
    const end = next === -1 ? lines.length : next;
    out.push(...paragraph(lines.slice(at, end)).map((line) => indent + line));
    at = end;
  }
  return [...out, ...(last === undefined ? [] : [last])].join(eol);
}

function readLines(written: readonly string[]): readonly Line[] {
  let isOpen = false;
  return written.map((text): Line => {
    const tokens = tokenize(text, 0, text.length);
    const words = tokens.filter((token) => token.kind !== "end" && token.kind !== "reason");
    const note = tokens.find((token) => token.kind === "reason")?.text ?? "";
    if (words.length === 0) {
      return note === "" ? { kind: "blank" } : { kind: "comment", text: note.trimEnd(), isInside: isOpen };
    }
    const length = isOpen ? 0 : actionLength(words);
    isOpen = words.at(-1)?.text === ",";
    const reason = note.slice(1).trim();
    return {
      kind: "rule",
      action: spaced(words.slice(0, length)),
      body: spaced(words.slice(length)),
      reason: reason === "" ? "" : `# ${reason}`,
    };
  });
}

/** The tokens of `deny`, `kill-thread`, `errno(ENOSYS)`. */
function actionLength(words: readonly Token[]): number {
  const texts = words.map((word) => word.text);
  const name = texts[1] === "-" && texts[2] === "thread" ? 3 : 1;
  if (texts[name] !== "(") return name;
  const close = texts.indexOf(")", name);
  return close === -1 ? name : close + 1;
}

/** Longer actions (most errnos) stand out to the right, rather than push all others away from their calls. */
const widestAction = 11;

/** Lines without a blank one between them: their columns belong together. */
function paragraph(lines: readonly Line[]): readonly string[] {
  const rules = lines.filter((line) => line.kind === "rule");
  const actions = rules.map((line) => line.action.length);
  const short = actions.filter((one) => one <= widestAction);
  const width = Math.max(0, ...(short.some((one) => one > 0) ? short : actions));
  const ruleText = ({ action, body }: { readonly action: string; readonly body: string }): string =>
    `${action.padEnd(width)} ${body}`.trimEnd();
  const widths = rules.filter((line) => line.reason !== "").map((line) => ruleText(line).length);
  const column = Math.max(0, ...widths.filter((one) => one + 2 <= lastReasonColumn));
  const print = (line: Line): string => {
    if (line.kind === "blank") return "";
    if (line.kind === "comment") return `${line.isInside ? " ".repeat(width + 1) : ""}${line.text}`;
    return line.reason === "" ? ruleText(line) : `${ruleText(line).padEnd(column)}  ${line.reason}`;
  };
  return lines.map(print);
}

const tightAfter = new Set(["(", "{", "[", "@", "#", "~", "!", ":", ".."]);
const tightBefore = new Set([")", "}", "]", ",", ":", "..", "["]);
/** Words that are no names: what follows them in parentheses is not their condition. */
const keywords = new Set(["in", "not", "within"]);

/** Tokens with one space where one belongs. */
function spaced(tokens: readonly Token[]): string {
  let text = "";
  let before: Token | undefined;
  let isSign = false;
  for (const token of tokens) {
    if (before !== undefined && needsSpace(before, token, isSign)) text += " ";
    // A hyphen that touches a word before it joins a name; any other is a sign.
    isSign = token.text === "-" && !(before?.kind === "word" && before.end === token.start);
    text += token.text;
    before = token;
  }
  return text;
}

function needsSpace(before: Token, token: Token, isSign: boolean): boolean {
  if (tightAfter.has(before.text) || tightBefore.has(token.text)) return false;
  if (before.text === "-") return !isSign && before.end !== token.start;
  if (token.text === "-") return !(before.kind === "word" && before.end === token.start);
  if (token.text !== "(") return true;
  return !(["*", "number"].includes(before.kind === "symbol" ? before.text : before.kind) || isName(before));
}

function isName(token: Token): boolean {
  return token.kind === "word" && !keywords.has(token.text);
}
