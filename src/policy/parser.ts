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

import type { Diagnostic, Span } from "../diagnostics/index.ts";
import type { AbiName } from "../syscalls/index.ts";
import { placed, Reader, RuleSyntaxError, type RuleText } from "./cursor.ts";
import { type Token, tokenize } from "./lexer.ts";
import { actionOf } from "./parse-action.ts";
import { valueFrom } from "./parse-condition.ts";
import { abiOf, selectorList, targetOf } from "./parse-selector.ts";
import type { Action, Rule, Selector, Value } from "./types.ts";

export type { RuleText } from "./cursor.ts";

export interface ParsedRules {
  readonly rules: readonly Rule[];
  readonly diagnostics: readonly Diagnostic[];
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
