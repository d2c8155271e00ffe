/**
 * The text of an LXC seccomp profile, line by line, as LXC's own reader takes it: `lxc_read_seccomp_config` and
 * what it calls, with everything that it silently ignores or half understands. What a line means for each ABI is
 * `read.ts`'s business.
 */
import type { Diagnostic, Source, Span } from "../../diagnostics/index.ts";
import type { Action } from "../../policy/types.ts";

/** One argument test: `[index,value,op,mask]`. */
export interface ProfileTest {
  readonly index: number;
  readonly operator: "!=" | "<" | "<=" | "==" | ">=" | ">" | "&=";
  readonly value: bigint;
  /** 0 where none is written. */
  readonly mask: bigint;
}

export interface ProfileRule {
  readonly name: string;
  readonly action: Action;
  readonly tests: readonly ProfileTest[];
  /** The section that it stands in is of another machine: LXC skips it. */
  readonly skipped: boolean;
  readonly span: Span;
}

/** What the lines say; undefined where LXC would refuse the file. */
export interface ParsedProfile {
  readonly version: 1 | 2;
  readonly fallback: Action;
  /** Version 1 allows these numbers, of the native ABI, and nothing else. */
  readonly numbers: readonly { readonly nr: number; readonly span: Span }[];
  readonly rules: readonly ProfileRule[];
}

export interface ProfileText {
  readonly profile: ParsedProfile | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export const killThread: Action = { kind: "kill-thread" };
const allow: Action = { kind: "allow" };

/** What LXC calls machines, and whose machine each is; a section of another machine is skipped. */
const sections: Readonly<Record<string, string>> = {
  x86: "x86_64",
  x32: "x86_64",
  x86_64: "x86_64",
  arm: "aarch64",
  arm64: "aarch64",
  ppc: "ppc",
  ppc64: "ppc",
  ppc64le: "ppc64le",
  mips: "mips",
  mips64: "mips",
  mips64n32: "mips",
  mipsel: "mips",
  mipsel64: "mips",
  mipsel64n32: "mips",
  s390: "s390",
  s390x: "s390x",
  loongarch64: "loongarch64",
};

const operators: Readonly<Record<string, ProfileTest["operator"]>> = {
  SCMP_CMP_NE: "!=",
  "!=": "!=",
  SCMP_CMP_LT: "<",
  "<": "<",
  SCMP_CMP_LE: "<=",
  "<=": "<=",
  SCMP_CMP_EQ: "==",
  "==": "==",
  SCMP_CMP_GE: ">=",
  ">=": ">=",
  SCMP_CMP_GT: ">",
  ">": ">",
  SCMP_CMP_MASKED_EQ: "&=",
  "&=": "&=",
};

/** From 2^30 on numbers are x32's, which a profile of version 1 cannot reach: it is for the machine's own ABI. */
const largestNumber = 0x3fff_ffff;

/** A line that LXC refuses the whole file for. */
class Refused extends Error {
  readonly diagnostic: Diagnostic;
  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message);
    this.diagnostic = diagnostic;
  }
}

interface Line {
  readonly text: string;
  readonly start: number;
}

/** @param machine this machine, as `abis` name theirs: sections of others are skipped */
export function parseProfile(source: Source, machine: string): ProfileText {
  const diagnostics: Diagnostic[] = [];
  try {
    return { profile: new ProfileParser(source, machine, diagnostics).profile(), diagnostics };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { profile: undefined, diagnostics: [...diagnostics, error.diagnostic] };
  }
}

/** Whether a text begins as these profiles do: a version, and on the next line the kind of list. */
export function looksLikeProfile(text: string): boolean {
  return /^\s*\+?0*[12]\s+(allowlist|denylist|whitelist|blacklist)/.test(text);
}

class ProfileParser {
  readonly #source: Source;
  readonly #machine: string;
  readonly #diagnostics: Diagnostic[];

  constructor(source: Source, machine: string, diagnostics: Diagnostic[]) {
    this.#source = source;
    this.#machine = machine;
    this.#diagnostics = diagnostics;
  }

  profile(): ParsedProfile {
    const { text } = this.#source;
    const version = /^\s*([+-]?\d+)\s*/.exec(text);
    const at = version?.[0].length ?? 0;
    const number = Number(version?.[1]);
    if (version === null || (number !== 1 && number !== 2))
      this.#refuse(0, firstLineEnd(text), "lxc-version", "a profile begins with its version, 1 or 2");
    if (at >= text.length)
      this.#refuse(
        0,
        text.length,
        "lxc-version",
        "the line after the version is missing: denylist or allowlist",
      );
    const lines = linesFrom(text, at);
    const [first, ...rest] = lines;
    if (first === undefined) this.#refuse(0, text.length, "lxc-policy", "the profile ends after its version");
    if (first.text.includes("debug"))
      this.#refuseLine(first, "lxc-policy", "LXC takes no line with the word debug here");
    return number === 1 ? this.#versionOne(first, rest) : this.#versionTwo(first, rest);
  }

  #versionOne(policy: Line, lines: readonly Line[]): ParsedProfile {
    if (!policy.text.includes("allowlist"))
      this.#refuseLine(policy, "lxc-policy", "version 1 knows only allowlist (not even its old name)");
    const numbers = lines.map((line) => {
      const found = /^\s*([+-]?\d+)(.*)$/.exec(line.text);
      if (found === null)
        this.#refuseLine(
          line,
          "lxc-number",
          "version 1 has a number on each line, and neither comments nor empty lines",
        );
      if ((found[2] ?? "").trim() !== "")
        this.#warn(this.#spanOf(line), "lxc-ignored-text", "LXC ignores what stands after the number");
      const nr = Number(found[1]);
      if (nr < -0x8000_0000 || nr > largestNumber)
        this.#refuseLine(line, "lxc-number", "no system call that LXC can mean here has this number");
      return { nr, span: this.#spanOf(line) };
    });
    return { version: 1, fallback: killThread, numbers, rules: [] };
  }

  #versionTwo(policy: Line, lines: readonly Line[]): ParsedProfile {
    const word = /^(denylist|blacklist|allowlist|whitelist)/.exec(policy.text)?.[1];
    if (word === undefined)
      this.#refuseLine(policy, "lxc-policy", "this line says denylist or allowlist, at its beginning");
    const denies = word === "denylist" || word === "blacklist";
    const space = policy.text.indexOf(" ");
    const glued = policy.text.slice(word.length, space === -1 ? undefined : space);
    if (glued.trim() !== "")
      this.#warn(
        this.#spanOf(policy),
        "lxc-ignored-text",
        `LXC reads ${JSON.stringify(word)} and ignores ${JSON.stringify(glued)}`,
      );
    let fallback: Action = denies ? allow : killThread;
    if (space !== -1) {
      const rest = { text: policy.text.slice(space + 1), start: policy.start + space + 1 };
      fallback = this.#action(rest, policy).action;
    }
    const usual: Action = denies ? killThread : allow;
    const rules: ProfileRule[] = [];
    let skipped = false;
    for (const line of lines) {
      if (line.text.startsWith("#")) continue;
      if (line.text.startsWith("[")) {
        skipped = this.#section(line);
        continue;
      }
      rules.push(...this.#rule(line, usual, skipped));
    }
    return { version: 2, fallback, numbers: [], rules };
  }

  /** Whether the rules of this section are skipped. */
  #section(line: Line): boolean {
    const name = /^\[(.*)\]$/.exec(line.text)?.[1];
    const isKnown = (one: string): boolean => one === "all" || Object.hasOwn(sections, one);
    const known =
      name === undefined
        ? undefined
        : isKnown(name)
          ? name
          : name === name.toUpperCase() && isKnown(name.toLowerCase())
            ? name.toLowerCase()
            : undefined;
    if (known === undefined)
      this.#refuseLine(
        line,
        "lxc-section",
        "LXC knows no such section, and takes nothing after one, not even a blank",
      );
    if (known === "all") return false;
    if (sections[known] !== this.#machine) {
      this.#warn(
        this.#spanOf(line),
        "lxc-section-skipped",
        `a section of another machine: LXC skips its rules here`,
      );
      return true;
    }
    this.#warn(
      this.#spanOf(line),
      "lxc-section-idle",
      "LXC does not keep this section to its ABI: the rules in it are added to every ABI of the machine",
    );
    return false;
  }

  #rule(line: Line, usual: Action, skipped: boolean): readonly ProfileRule[] {
    const span = this.#spanOf(line);
    if (line.text.startsWith("reject_force_umount")) {
      const rest = line.text.slice("reject_force_umount".length).replace(/#.*/, "");
      if (rest.trim() !== "")
        this.#warn(span, "lxc-ignored-text", "LXC ignores what stands after reject_force_umount");
      const test: ProfileTest = { index: 1, operator: "&=", value: 1n, mask: 1n };
      return [{ name: "umount2", action: { kind: "errno", errno: "EACCES" }, tests: [test], skipped, span }];
    }
    const space = line.text.indexOf(" ");
    const name = space === -1 ? line.text : line.text.slice(0, space);
    const rule = { name, skipped, span };
    if (space === -1) return [{ ...rule, action: usual, tests: [] }];
    const rest = { text: line.text.slice(space + 1), start: line.start + space + 1 };
    const words = rest.text.replace(/^ +/, "");
    const spoken = { text: words, start: rest.start + rest.text.length - words.length };
    const action = words === "" || words.startsWith("#") ? usual : this.#action(spoken, line).action;
    const bracket = line.text.indexOf("[");
    if (bracket === -1) return [{ ...rule, action, tests: [] }];
    return [{ ...rule, action, tests: this.#tests(line, bracket) }];
  }

  /** An action at the beginning of a text: LXC compares prefixes, and ignores what follows. */
  #action(rest: Line, line: Line): { readonly action: Action } {
    const span = {
      source: this.#source,
      start: rest.start,
      end: Math.max(rest.start + 1, line.start + line.text.length),
    };
    const word = /^(kill|errno|allow|trap|notify)/.exec(rest.text)?.[1];
    if (word === undefined) {
      this.#refuseAt(
        span,
        "lxc-action",
        "LXC knows the actions kill, errno N, allow, trap and notify",
        "it takes no blank before one",
      );
    }
    if (word === "errno") {
      // sscanf("errno %d", …): any white space, also none, before the number.
      const number = /^errno\s*([+-]?\d+)/.exec(rest.text)?.[1];
      if (number === undefined)
        this.#refuseAt(span, "lxc-errno", "LXC takes the number of an errno, not its name");
      const value = Number(number);
      if (value < 0 || value > 4094)
        this.#refuseAt(span, "lxc-errno", `${value} is no errno that libseccomp takes: 0 to 4094`);
      return { action: { kind: "errno", errno: value } };
    }
    const after = rest.text.slice(word.length);
    const glued = /^[^\s[#]+/.exec(after)?.[0];
    if (glued !== undefined)
      this.#warn(
        span,
        "lxc-ignored-text",
        `LXC reads ${JSON.stringify(word)} and ignores ${JSON.stringify(glued)}`,
      );
    switch (word) {
      case "kill":
        return { action: killThread };
      case "allow":
        return { action: allow };
      case "trap":
        return { action: { kind: "trap", data: 0 } };
      default:
        return { action: { kind: "notify" } };
    }
  }

  #tests(line: Line, from: number): readonly ProfileTest[] {
    const { text } = line;
    const tests: ProfileTest[] = [];
    const hash = text.indexOf("#");
    if (hash !== -1 && hash < from) {
      this.#refuseAt(
        this.#part(line, from, text.length),
        "lxc-argument",
        "LXC reads a [ in a comment at the end of a line as an argument test",
      );
    }
    for (let at = from; at < text.length; ) {
      const found = /\[([^\]]*)\]/y;
      found.lastIndex = at;
      const one = found.exec(text);
      if (one === null) {
        // LXC looks for the next [, whatever stands before it; but nothing may follow the last ].
        const next = text.indexOf("[", at);
        if (next <= at)
          this.#refuseAt(
            this.#part(line, at, text.length),
            "lxc-argument",
            "LXC takes nothing after the last ], not even a blank",
          );
        at = next;
        continue;
      }
      tests.push(this.#test(one[1] ?? "", this.#part(line, at, at + one[0].length)));
      at += one[0].length;
    }
    if (tests.length > 6)
      this.#refuseAt(this.#part(line, from, text.length), "lxc-argument", "LXC takes six tests in a rule");
    return tests;
  }

  #test(text: string, span: Span): ProfileTest {
    const found = /^\s*(\w+)\s*,\s*(\w+)\s*,([^,\d]+)(?:,\s*(\w+)\s*)?$/.exec(text);
    const index = integer(found?.[1]);
    const value = integer(found?.[2]);
    const mask = found?.[4] === undefined ? 0n : integer(found[4]);
    const operator = operators[found?.[3] ?? ""];
    if (
      index === undefined ||
      index > 5n ||
      value === undefined ||
      mask === undefined ||
      operator === undefined
    )
      this.#refuseAt(
        span,
        "lxc-argument",
        "an argument test is [index,value,op] or [index,value,op,mask], with op in == != < <= > >= &=",
      );
    if (operator === "&=" && mask === 0n)
      this.#warn(
        span,
        "lxc-no-mask",
        "&= without a mask masks everything out: this test is true for every value",
      );
    return { index: Number(index), value, operator, mask };
  }

  #spanOf(line: Line): Span {
    return this.#part(line, 0, Math.max(1, line.text.length));
  }

  #part(line: Line, start: number, end: number): Span {
    return { source: this.#source, start: line.start + start, end: line.start + end };
  }

  #warn(span: Span, id: string, message: string): void {
    this.#diagnostics.push({ id, severity: "warning", message, span });
  }

  #refuse(start: number, end: number, id: string, message: string): never {
    const last = Math.min(Math.max(end, start + 1), this.#source.text.length);
    return this.#refuseAt({ source: this.#source, start, end: last }, id, message);
  }

  #refuseLine(line: Line, id: string, message: string): never {
    return this.#refuseAt(this.#spanOf(line), id, message);
  }

  #refuseAt(span: Span, id: string, message: string, label?: string): never {
    throw new Refused({ id, severity: "error", message, span, ...(label === undefined ? {} : { label }) });
  }
}

/** A number as `%i` reads it: decimal, 0x…, or octal with a leading 0. */
function integer(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const value = /^0[0-7]+$/.test(text)
    ? BigInt(`0o${text.slice(1)}`)
    : /^(\d+|0[xX][\da-fA-F]+)$/.test(text)
      ? BigInt(text)
      : undefined;
  return value === undefined || value >= 1n << 64n ? undefined : value;
}

function firstLineEnd(text: string): number {
  const end = text.indexOf("\n");
  return end === -1 ? text.length : end;
}

function linesFrom(text: string, at: number): readonly Line[] {
  const lines: Line[] = [];
  for (let start = at; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    lines.push({ text: text.slice(start, end), start });
    start = end + 1;
  }
  return lines;
}
