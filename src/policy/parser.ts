/**
 * The rule language: one rule a line, `ACTION SELECTOR, SELECTOR…  # reason`.
 *
 *     rule      = action selector { "," selector } [ " # " reason ]
 *     selector  = [ abi ":" ] ( name | "@" group | "#" number | "*" ) [ "(" condition ")" ]
 *     condition = and { "||" and }      and = not { "&&" not }
 *     not       = "!" "(" condition ")" | "(" condition ")" | test
 *     test      = operand [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value | [ "not" ] "in" "{" item … "}" | "within" value ]
 *     operand   = ( argument | "args[" N "]" | "ip" ) [ "&" atom ] | "(" operand ")"
 *     value     = atom { "|" atom }     item = value [ ".." value ]
 *     atom      = [ "~" | "-" ] ( integer | CONSTANT ) | [ "~" ] "(" value ")"
 *
 * The parser reads words only: whether a name exists is for `names.ts` to say, so that one file can have all
 * its mistakes reported at once.
 */
import { type Diagnostic, nearest, type Span } from "../diagnostics/index.ts";
import { type AbiName, abiByName, constantNames, errnoNumber } from "../syscalls/index.ts";
import { abiAdvice } from "./abi-name.ts";
import { deny } from "./action.ts";
import { readInteger, type Token, tokenize } from "./lexer.ts";
import type {
  Action,
  ComparisonOperator,
  Condition,
  Operand,
  Rule,
  Selector,
  Test,
  Value,
  ValueRange,
} from "./types.ts";

/** A text and the place of each of its stretches in the source that it was written in. */
export interface RuleText {
  readonly text: string;
  /** Undefined for texts that were given as values, not in a file. */
  readonly spanOf?: (start: number, end: number) => Span;
}

export interface ParsedRules {
  readonly rules: readonly Rule[];
  readonly diagnostics: readonly Diagnostic[];
}

const actionWords = [
  "allow",
  "deny",
  "errno",
  "kill",
  "kill-thread",
  "trap",
  "log",
  "trace",
  "notify",
  "ask",
];
const comparisons: readonly string[] = ["==", "!=", "<", "<=", ">", ">="];

const deepestNesting = 64;

/** Stops the reading of one rule; the next one is read all the same. */
class RuleSyntaxError extends Error {
  readonly diagnostic: Diagnostic;
  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message);
    this.diagnostic = diagnostic;
  }
}

/** Reads a block of rules, a rule a line; a line that ends in a comma goes on in the next one. */
export function parseRules(source: RuleText): ParsedRules {
  const rules: Rule[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const tokens of logicalLines(source.text)) {
    try {
      rules.push(parseRuleTokens(source, tokens));
    } catch (error) {
      if (!(error instanceof RuleSyntaxError)) throw error;
      diagnostics.push(error.diagnostic);
    }
  }
  return { rules, diagnostics };
}

/** Reads selectors alone, as `--allow` and `--deny` take them. */
export function parseSelectors(source: RuleText): {
  readonly selectors: readonly Selector[];
  readonly diagnostics: readonly Diagnostic[];
} {
  try {
    const reader = new Reader(source, tokenize(source.text, 0, source.text.length));
    const selectors = selectorList(reader);
    reader.expectEnd("a comma and another selector, or the end");
    return { selectors, diagnostics: [] };
  } catch (error) {
    if (!(error instanceof RuleSyntaxError)) throw error;
    return { selectors: [], diagnostics: [error.diagnostic] };
  }
}

/** Reads one action, as `default` and `newer` take it. */
export function parseAction(source: RuleText): {
  readonly action?: Action;
  readonly diagnostics: readonly Diagnostic[];
} {
  try {
    const reader = new Reader(source, tokenize(source.text, 0, source.text.length));
    const action = actionOf(reader);
    reader.expectEnd("nothing after the action");
    return { action, diagnostics: [] };
  } catch (error) {
    if (!(error instanceof RuleSyntaxError)) throw error;
    return { diagnostics: [error.diagnostic] };
  }
}

/** A call as people write it for `explain`: `socket(AF_NETLINK, SOCK_RAW, 0)`, `x86:clone(flags = CLONE_NEWUSER)`. */
export interface WrittenCall {
  readonly abi?: AbiName;
  readonly target: Selector["target"];
  /** By position, or by name; what is left out (or written `_`) may be anything. */
  readonly args: readonly {
    readonly index: number;
    readonly name?: string;
    readonly value: Value;
    readonly span?: Span;
  }[];
}

/** Reads one call. */
export function parseCall(source: RuleText): {
  readonly call?: WrittenCall;
  readonly diagnostics: readonly Diagnostic[];
} {
  try {
    const reader = new Reader(source, tokenize(source.text, 0, source.text.length));
    const abi = reader.peek(1).text === ":" ? abiOf(reader) : undefined;
    const target = targetOf(reader);
    const args = reader.accept("(") === undefined ? [] : callArguments(reader);
    reader.expectEnd("nothing after the call");
    return { call: { target, args, ...(abi === undefined ? {} : { abi }) }, diagnostics: [] };
  } catch (error) {
    if (!(error instanceof RuleSyntaxError)) throw error;
    return { diagnostics: [error.diagnostic] };
  }
}

function callArguments(reader: Reader): WrittenCall["args"] {
  const args: WrittenCall["args"][number][] = [];
  if (reader.accept(")") !== undefined) return args;
  for (let index = 0; ; index++) {
    const first = reader.peek();
    const named = first.kind === "word" && ["=", "=="].includes(reader.peek(1).text);
    const name = named ? reader.next().text : undefined;
    if (named) reader.next();
    if (reader.accept("_") === undefined) {
      const value = valueFrom(reader);
      args.push(placed({ index, value, ...(name === undefined ? {} : { name }) }, reader.spanFrom(first)));
    }
    if (reader.accept(",") !== undefined) continue;
    reader.expect(")", "after the arguments");
    return args;
  }
}

/** The tokens of each rule: lines joined where one ends in a comma; empty lines and lines of comment left out. */
function* logicalLines(text: string): Generator<readonly Token[]> {
  let open: Token[] = [];
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const tokens = tokenize(text, start, end);
    start = end + 1;
    const words = tokens.filter((token) => token.kind !== "end" && token.kind !== "reason");
    if (words.length === 0) continue;
    const last = words[words.length - 1];
    const continues = last?.kind === "symbol" && last.text === "," && start <= text.length;
    open.push(...(continues ? tokens.filter((token) => token.kind !== "end") : tokens));
    if (continues) continue;
    yield open;
    open = [];
  }
  if (open.length > 0) {
    const last = open[open.length - 1];
    yield [...open, { kind: "end", text: "", start: last?.end ?? 0, end: last?.end ?? 0 }];
  }
}

/** A cursor over the tokens of one rule; reasons are set aside as they come. */
class Reader {
  readonly source: RuleText;
  readonly #tokens: readonly Token[];
  readonly #reasons: string[] = [];
  #at = 0;
  #depth = 0;

  constructor(source: RuleText, tokens: readonly Token[]) {
    this.source = source;
    this.#tokens = tokens.filter((token) => token.kind !== "reason");
    for (const token of tokens) {
      if (token.kind === "reason") this.#reasons.push(token.text.slice(1).trim());
    }
    const bad = tokens.find((token) => token.kind === "bad");
    if (bad !== undefined) this.fail(bad, "syntax", `unexpected ${JSON.stringify(bad.text)}`, bad.problem);
  }

  /** Reads something that can contain itself; its depth is bounded, so that no text overflows the stack. */
  nested<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > deepestNesting)
      this.fail(this.peek(), "syntax", `more than ${deepestNesting} nested parentheses`);
    const result = read();
    this.#depth -= 1;
    return result;
  }

  get reason(): string | undefined {
    const text = this.#reasons.filter((reason) => reason !== "").join(" ");
    return text === "" ? undefined : text;
  }

  peek(ahead = 0): Token {
    const last = this.#tokens[this.#tokens.length - 1];
    const token = this.#tokens[this.#at + ahead] ?? last;
    if (token === undefined) throw new Error("a rule has at least its end token");
    return token;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.#at += 1;
    return token;
  }

  /** Takes the symbol (or the word) if it comes next. */
  accept(text: string): Token | undefined {
    const token = this.peek();
    return (token.kind === "symbol" || token.kind === "word") && token.text === text
      ? this.next()
      : undefined;
  }

  expect(text: string, why: string): Token {
    return (
      this.accept(text) ??
      this.fail(
        this.peek(),
        "syntax",
        `expected ${JSON.stringify(text)} ${why}, found ${describe(this.peek())}`,
      )
    );
  }

  expectEnd(what: string): void {
    const token = this.peek();
    if (token.kind !== "end") this.fail(token, "syntax", `unexpected ${describe(token)}`, `expected ${what}`);
  }

  /** The span from a token to the last one taken. */
  spanFrom(first: Token): Span | undefined {
    const last = this.#tokens[this.#at - 1] ?? first;
    return this.source.spanOf?.(first.start, Math.max(first.end, last.end));
  }

  fail(token: Token, id: string, message: string, label?: string): never {
    const span = this.source.spanOf?.(token.start, token.end);
    throw new RuleSyntaxError({
      id,
      severity: "error",
      message,
      ...(span === undefined ? {} : { span }),
      ...(label === undefined ? {} : { label }),
    });
  }
}

function describe(token: Token): string {
  return token.kind === "end" ? "the end of the rule" : JSON.stringify(token.text);
}

/** Adds the span where there is one: values of the API have none. */
function placed<T extends object>(value: T, span: Span | undefined): T & { readonly span?: Span } {
  return span === undefined ? value : { ...value, span };
}

function parseRuleTokens(source: RuleText, tokens: readonly Token[]): Rule {
  const reader = new Reader(source, tokens);
  const first = reader.peek();
  const action = actionOf(reader);
  const selectors = selectorList(reader);
  const span = reader.spanFrom(first);
  reader.expectEnd("a comma, a reason (# …) or the end of the line");
  const rule =
    reader.reason === undefined ? { action, selectors } : { action, selectors, reason: reader.reason };
  return placed(rule, span);
}

function actionOf(reader: Reader): Action {
  const token = reader.next();
  let word = token.text;
  // A hyphen is a symbol elsewhere: here it joins two words that touch it.
  const [hyphen, second] = [reader.peek(), reader.peek(1)];
  const touches = hyphen.start === token.end && second.start === hyphen.end;
  if (word === "kill" && hyphen.text === "-" && second.text === "thread" && touches) {
    reader.next();
    reader.next();
    word = "kill-thread";
  }
  switch (word) {
    case "allow":
    case "kill":
    case "kill-thread":
    case "log":
    case "notify":
    case "ask":
      return { kind: word };
    case "deny":
      return deny;
    case "errno": {
      reader.expect("(", "after errno: errno(ENOSYS)");
      const value = reader.next();
      const errno =
        value.kind === "word" ? errnoOf(reader, value) : smallInteger(reader, value, 4095, "an errno");
      reader.expect(")", "after the errno");
      return { kind: "errno", errno };
    }
    case "trap":
      return { kind: "trap", data: reader.peek().text === "(" ? parenthesised(reader) : 0 };
    case "trace":
      return { kind: "trace", data: parenthesised(reader) };
    default: {
      const guess = token.kind === "word" ? nearest(word, actionWords) : undefined;
      return reader.fail(
        token,
        "unknown-action",
        token.kind === "end" ? "an action is missing" : `there is no action ${JSON.stringify(word)}`,
        guess === undefined ? `actions are ${actionWords.join(", ")}` : `did you mean ${guess}?`,
      );
    }
  }
}

let errnos: readonly string[] | undefined;

function errnoOf(reader: Reader, token: Token): string {
  if (errnoNumber("x86_64", token.text) !== undefined) return token.text;
  errnos ??= constantNames().filter((name) => errnoNumber("x86_64", name) !== undefined);
  const guess = nearest(token.text, errnos);
  return reader.fail(
    token,
    "unknown-errno",
    `there is no errno ${JSON.stringify(token.text)}`,
    guess === undefined ? "errnos are written EPERM, ENOSYS, …, or as a number" : `did you mean ${guess}?`,
  );
}

function parenthesised(reader: Reader): number {
  reader.expect("(", "and a number");
  const data = smallInteger(reader, reader.next(), 65535, "this number");
  reader.expect(")", "after the number");
  return data;
}

function smallInteger(reader: Reader, token: Token, largest: number, what: string): number {
  const value = integerOf(reader, token);
  if (value > BigInt(largest)) reader.fail(token, "number-out-of-range", `${what} is at most ${largest}`);
  return Number(value);
}

function integerOf(reader: Reader, token: Token): bigint {
  if (token.kind !== "number")
    return reader.fail(token, "syntax", `expected a number, found ${describe(token)}`);
  const value = readInteger(token.text);
  return typeof value === "string"
    ? reader.fail(token, "bad-number", `${JSON.stringify(token.text)} cannot be read as a number`, value)
    : value;
}

function selectorList(reader: Reader): readonly Selector[] {
  const selectors = [selectorOf(reader)];
  while (reader.accept(",") !== undefined) selectors.push(selectorOf(reader));
  return selectors;
}

function selectorOf(reader: Reader): Selector {
  const first = reader.peek();
  const abi = reader.peek(1).text === ":" ? abiOf(reader) : undefined;
  const target = targetOf(reader);
  let condition: Condition | undefined;
  const open = reader.accept("(");
  if (open !== undefined) {
    if (reader.peek().text === ")") {
      reader.fail(
        reader.peek(),
        "syntax",
        "a condition is missing",
        "leave the parentheses out for every call",
      );
    }
    condition = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
  }
  const selector: Selector = {
    target,
    ...(abi === undefined ? {} : { abi }),
    ...(condition === undefined ? {} : { condition }),
  };
  return placed(selector, reader.spanFrom(first));
}

function unclosed(reader: Reader, open: Token): never {
  const token = reader.peek();
  if (token.kind === "end") return reader.fail(open, "syntax", "this parenthesis is never closed");
  return reader.fail(token, "syntax", `unexpected ${describe(token)}`, "expected &&, || or )");
}

function abiOf(reader: Reader): Selector["abi"] {
  const token = reader.next();
  reader.next();
  const abi = abiByName(token.text);
  if (abi === undefined)
    return reader.fail(
      token,
      "unknown-abi",
      `there is no ABI ${JSON.stringify(token.text)}`,
      abiAdvice(token.text),
    );
  return abi.name;
}

function targetOf(reader: Reader): Selector["target"] {
  const token = reader.next();
  if (token.kind === "word") return { kind: "name", name: token.text };
  if (token.text === "*") return { kind: "any" };
  if (token.text === "@") {
    // Group names have hyphens, which are symbols elsewhere: @basic-io.
    let name = "@";
    let at = token.end;
    for (
      let part = reader.peek();
      (part.kind === "word" || part.text === "-") && part.start === at;
      part = reader.peek()
    ) {
      name += part.text;
      at = part.end;
      reader.next();
    }
    if (name === "@") reader.fail(reader.peek(), "syntax", "the group's name is missing after @");
    return { kind: "group", name };
  }
  if (token.text === "#")
    return { kind: "number", nr: smallInteger(reader, reader.next(), 0xffff_ffff, "a call number") };
  return reader.fail(
    token,
    "syntax",
    `expected a call, found ${describe(token)}`,
    "a call is written read, @basic-io, #424 or *",
  );
}

function conditionOf(reader: Reader): Condition {
  const first = reader.peek();
  const items = reader.nested(() => {
    const found = [conjunctionOf(reader)];
    while (reader.accept("||") !== undefined) found.push(conjunctionOf(reader));
    return found;
  });
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "or" as const, items }, reader.spanFrom(first));
}

function conjunctionOf(reader: Reader): Condition {
  const first = reader.peek();
  const items = [negationOf(reader)];
  while (reader.accept("&&") !== undefined) items.push(negationOf(reader));
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "and" as const, items }, reader.spanFrom(first));
}

function negationOf(reader: Reader): Condition {
  const first = reader.peek();
  if (reader.accept("!") !== undefined) {
    const open = reader.expect("(", "after !: write !(flags & CLONE_NEWUSER)");
    const item = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
    return placed({ kind: "not" as const, item }, reader.spanFrom(first));
  }
  if (first.text === "(" && !opensOperand(reader)) {
    const open = reader.next();
    const item = conditionOf(reader);
    if (reader.accept(")") === undefined) unclosed(reader, open);
    return item;
  }
  return testOf(reader);
}

/**
 * `(` begins a parenthesised operand in `(flags & 3) == 1` and a parenthesised condition in `(fd == 1 || fd == 2)`;
 * what stands behind the matching parenthesis tells which. A lone `(flags & 3)` means the same either way.
 */
function opensOperand(reader: Reader): boolean {
  let depth = 0;
  for (let ahead = 0; ; ahead++) {
    const token = reader.peek(ahead);
    if (token.kind === "end") return false;
    if (token.text === "(") depth += 1;
    if (token.text === "&&" || token.text === "||" || token.text === "!") return false;
    if (token.text === ")") depth -= 1;
    if (depth === 0) {
      const after = reader.peek(ahead + 1);
      return comparisons.includes(after.text) || ["in", "not", "within"].includes(after.text);
    }
  }
}

function testOf(reader: Reader): Condition {
  const first = reader.peek();
  const operand = operandOf(reader);
  const test = comparisonOf(reader, operand);
  return placed({ kind: "test" as const, operand, test }, reader.spanFrom(first));
}

function operandOf(reader: Reader): Operand {
  const first = reader.peek();
  if (reader.accept("(") !== undefined) {
    const inner = reader.nested(() => operandOf(reader));
    if (reader.accept(")") === undefined) unclosed(reader, first);
    return inner;
  }
  const word = wordOf(reader);
  if (reader.accept("&") === undefined) return placed({ word }, reader.spanFrom(first));
  const mask = atomOf(reader);
  if (reader.peek().text === "|") {
    const text = (from: Token, to: Token): string => reader.source.text.slice(from.start, to.end).trim();
    const bar = reader.next();
    const more = reader.peek();
    const left = reader.source.text.slice(first.start, bar.start).trim();
    const amp = left.lastIndexOf("&");
    const [name, bits] = [left.slice(0, amp).trim(), left.slice(amp + 1).trim()];
    reader.fail(
      bar,
      "ambiguous-mask",
      `${left} | ${text(more, more)} can be read in two ways`,
      `write ${name} & (${bits} | ${text(more, more)}), or (${name} & ${bits}) || …`,
    );
  }
  return placed({ word, mask }, reader.spanFrom(first));
}

function wordOf(reader: Reader): Operand["word"] {
  const token = reader.next();
  if (token.kind !== "word") {
    const label =
      token.kind === "number"
        ? "the argument stands on the left: fd == 1"
        : "an argument's name is expected here";
    return reader.fail(token, "syntax", `expected an argument, found ${describe(token)}`, label);
  }
  if (token.text === "ip") return { kind: "ip" };
  if (token.text === "args" && reader.accept("[") !== undefined) {
    const index = smallInteger(reader, reader.next(), 5, "an argument's index");
    reader.expect("]", "after the index");
    return { kind: "raw", index };
  }
  return { kind: "argument", name: token.text };
}

function comparisonOf(reader: Reader, operand: Operand): Test {
  const token = reader.peek();
  if (isComparison(token.text)) {
    reader.next();
    return { kind: "compare", operator: token.text, value: valueFrom(reader) };
  }
  if (token.text === "=") return reader.fail(token, "syntax", 'unexpected "="', "a comparison is written ==");
  if (token.text === "within") {
    reader.next();
    if (operand.mask !== undefined)
      reader.fail(token, "syntax", "a masked argument cannot be tested by within", "leave the mask out");
    return { kind: "within", value: valueFrom(reader) };
  }
  if (token.text !== "in" && token.text !== "not") return { kind: "nonzero" };
  const negated = reader.accept("not") !== undefined;
  reader.expect("in", "after not: not in {…}");
  const open = reader.expect("{", "after in");
  const items = [rangeOf(reader)];
  while (reader.accept(",") !== undefined) items.push(rangeOf(reader));
  if (reader.accept("}") === undefined) {
    if (reader.peek().kind === "end") reader.fail(open, "syntax", "this brace is never closed");
    reader.expect("}", "after the values");
  }
  return { kind: "in", negated, items };
}

function isComparison(text: string): text is ComparisonOperator {
  return comparisons.includes(text);
}

function rangeOf(reader: Reader): ValueRange {
  const low = valueFrom(reader);
  return { low, high: reader.accept("..") === undefined ? low : valueFrom(reader) };
}

function valueFrom(reader: Reader): Value {
  const first = reader.peek();
  const items = [atomOf(reader)];
  while (reader.accept("|") !== undefined) items.push(atomOf(reader));
  const only = items.length === 1 ? items[0] : undefined;
  return only ?? placed({ kind: "union" as const, items }, reader.spanFrom(first));
}

function atomOf(reader: Reader): Value {
  const first = reader.peek();
  if (reader.accept("~") !== undefined) {
    return placed({ kind: "complement" as const, item: plainAtomOf(reader) }, reader.spanFrom(first));
  }
  if (reader.accept("-") !== undefined) {
    if (reader.peek().text === "(")
      reader.fail(reader.peek(), "syntax", "- stands before a number or a name");
    return placed({ kind: "negative" as const, item: plainAtomOf(reader) }, reader.spanFrom(first));
  }
  return plainAtomOf(reader);
}

function plainAtomOf(reader: Reader): Value {
  const token = reader.next();
  if (token.text === "(") {
    const value = reader.nested(() => valueFrom(reader));
    if (reader.accept(")") === undefined) unclosed(reader, token);
    return value;
  }
  if (token.kind === "word")
    return placed(
      { kind: "constant" as const, name: token.text },
      reader.source.spanOf?.(token.start, token.end),
    );
  if (token.kind === "number")
    return placed(
      { kind: "integer" as const, value: integerOf(reader, token) },
      reader.source.spanOf?.(token.start, token.end),
    );
  return reader.fail(
    token,
    "syntax",
    `expected a value, found ${describe(token)}`,
    "a value is a number or a constant such as AF_UNIX",
  );
}
