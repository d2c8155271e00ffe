/**
 * A container's statements as a policy. They count from top to bottom, as rules do: of rules the first that matches
 * decides, and of a key that has one value the first line counts.
 *
 *     syscall.baseline = 5.15
 *     syscall.deny     = keyctl, add_key, socket(domain == AF_VSOCK)
 *     syscall.policy   = container
 */
import { dirname, resolve as resolvePath } from "node:path";
import { type Diagnostic, hasErrors, nearest } from "../diagnostics/index.ts";
import { builtinPolicies } from "../formats/index.ts";
import { loadPolicy } from "../formats/load.ts";
import { deny } from "../policy/action.ts";
import { askWord } from "../policy/askable.ts";
import { plainText } from "../policy/document.ts";
import { parseAction, parseRules, parseSelectors } from "../policy/parser.ts";
import { missingBaseline } from "../policy/read.ts";
import { resolve } from "../policy/resolve.ts";
import type { AbiSelection, Action, Policy, Rule } from "../policy/types.ts";
import { unreachableRules } from "../proof/reach.ts";
import { abiByName, abis, type KernelVersion, newestVersion, parseVersion } from "../syscalls/index.ts";
import type { ConfigLine, ContainerConfig } from "./config.ts";

export const statementKeys = [
  "syscall.default",
  "syscall.baseline",
  "syscall.newer",
  "syscall.allow",
  "syscall.deny",
  "syscall.rule",
  "syscall.policy",
  "syscall.abis",
  "syscall.inherit",
] as const;

export interface Statements {
  /** Undefined where there are errors, and where nothing is stated. */
  readonly policy: Policy | undefined;
  /** The lines that state something, in the order in which they count. */
  readonly lines: readonly ConfigLine[];
  /** The policies that `syscall.policy` names. */
  readonly bases: readonly string[];
  /** Whether the profile that is in force without callgate stays in force as well. */
  readonly inherits: boolean;
  /** Files of policies. */
  readonly consulted: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads the statements of a configuration. @param kernel the running kernel's version, to be offered as baseline */
export function readStatements(config: ContainerConfig, kernel: string): Statements {
  const diagnostics: Diagnostic[] = [
    ...config.diagnostics,
    ...keysThatStopLxc(config),
    ...misspeltKeys(config),
  ];
  // What `enable` wrote holds only where the configuration says nothing itself.
  const own = config.lines.filter((line) => line.key.startsWith("syscall.") && !line.isManaged);
  const managed = config.lines.filter(
    (line) =>
      line.key.startsWith("syscall.") && line.isManaged && !own.some((other) => other.key === line.key),
  );
  const lines = [...own, ...managed];
  const reader = new StatementReader(diagnostics);
  for (const line of lines) reader.read(line);
  const policy = lines.length === 0 ? undefined : reader.policy(kernel);
  return {
    policy: hasErrors(diagnostics) ? undefined : policy,
    lines,
    bases: reader.bases,
    inherits: reader.inherits,
    consulted: reader.consulted,
    diagnostics,
  };
}

/** `lxc.syscall.…`, with which LXC refuses the whole configuration. */
export function keysThatStopLxc({ lines }: Pick<ContainerConfig, "lines">): readonly Diagnostic[] {
  return lines
    .filter(({ key }) => key.startsWith("lxc.syscall."))
    .map(({ key, keySpan }) => {
      const written = key.slice("lxc.".length);
      return {
        id: "lxc-key",
        severity: "error",
        message:
          "LXC refuses keys that begin with lxc. and that it does not know: the container would not start",
        span: keySpan,
        label: `write ${written}`,
        fix: { message: `write ${written}`, edits: [{ span: keySpan, text: written }] },
      };
    });
}

/** A key of ours that does not exist states nothing. */
function misspeltKeys({ lines }: ContainerConfig): readonly Diagnostic[] {
  return lines.flatMap(({ key, keySpan }): readonly Diagnostic[] => {
    if (!key.startsWith("syscall.") || statementKeys.some((one) => one === key)) return [];
    const guess = nearest(key, statementKeys);
    return [
      {
        id: "unknown-statement",
        severity: "error",
        message: `there is no statement ${JSON.stringify(key)}`,
        span: keySpan,
        label: guess === undefined ? `statements are ${statementKeys.join(", ")}` : `did you mean ${guess}?`,
        ...(guess === undefined
          ? {}
          : { fix: { message: `write ${guess}`, edits: [{ span: keySpan, text: guess }] } }),
      },
    ];
  });
}

class StatementReader {
  readonly bases: string[] = [];
  readonly consulted: string[] = [];
  inherits = true;
  readonly #diagnostics: Diagnostic[];
  readonly #seen = new Map<string, ConfigLine>();
  readonly #rules: Rule[] = [];
  readonly #policies: Policy[] = [];
  #default: { readonly action: Action; readonly line: ConfigLine } | undefined;
  #newer: { readonly action: Action; readonly line: ConfigLine } | undefined;
  #baseline: KernelVersion | undefined;
  /** What `enable` wrote: a policy's own goes before it. */
  #managedBaseline: KernelVersion | undefined;
  #abis: AbiSelection | undefined;

  constructor(diagnostics: Diagnostic[]) {
    this.#diagnostics = diagnostics;
  }

  read(line: ConfigLine): void {
    switch (line.key) {
      case "syscall.allow":
      case "syscall.deny":
        this.#selectors(line, line.key === "syscall.deny" ? deny : { kind: "allow" });
        return;
      case "syscall.rule":
        this.#rule(line);
        return;
      case "syscall.policy":
        this.#policy(line);
        return;
    }
    const earlier = this.#seen.get(line.key);
    if (earlier !== undefined) {
      this.#diagnostics.push({
        id: "repeated-statement",
        severity: "warning",
        message: `${line.key} is stated a second time: the first counts`,
        span: line.keySpan,
        notes: [{ message: "the first stands here", span: earlier.keySpan }],
      });
      return;
    }
    this.#seen.set(line.key, line);
    switch (line.key) {
      case "syscall.default": {
        const action = this.#action(line);
        if (action !== undefined) this.#default = { action, line };
        return;
      }
      case "syscall.newer": {
        const action = this.#action(line);
        if (action !== undefined) this.#newer = { action, line };
        return;
      }
      case "syscall.baseline":
        this.#version(line);
        return;
      case "syscall.abis":
        this.#abiList(line);
        return;
      case "syscall.inherit": {
        const word = withoutReason(line.value);
        if (word === "none") this.inherits = false;
        else if (word !== "profile")
          this.#error(line, "bad-value", "syscall.inherit is profile (the default) or none");
      }
    }
  }

  policy(kernel: string): Policy {
    const [base] = this.#policies;
    const fallback = this.#default?.action ?? base?.syscalls.default ?? { kind: "allow" };
    const baseline = this.#baseline ?? base?.syscalls.baseline ?? this.#managedBaseline;
    if (baseline === undefined && (fallback.kind === "allow" || fallback.kind === "log")) {
      const missing = missingBaseline(parseVersion(kernel) ?? newestVersion, undefined);
      const place = this.#default?.line.valueSpan ?? this.#seen.values().next().value?.keySpan;
      this.#diagnostics.push({
        ...missing,
        label: (missing.label ?? "").replace(
          /^add baseline = "([^"]*)"$/,
          "add a line: syscall.baseline = $1",
        ),
        ...(place === undefined ? {} : { span: place }),
      });
    }
    const policy: Policy = {
      version: 1,
      name: "container",
      syscalls: {
        default: fallback,
        ...(baseline === undefined ? {} : { baseline }),
        newer: this.#newer?.action ?? base?.syscalls.newer ?? { kind: "errno", errno: "ENOSYS" },
        abis: this.#abis ?? ["all"],
        otherAbis: base?.syscalls.otherAbis ?? { kind: "kill" },
        multiplexed: base?.syscalls.multiplexed ?? "strict",
        require: this.#policies.flatMap((one) => one.syscalls.require),
        rules: [...this.#rules, ...this.#policies.flatMap((one) => one.syscalls.rules)],
      },
    };
    this.#checkQuestions(policy);
    this.#checkNames(policy);
    return policy;
  }

  /** Nobody could answer: LXC and the kernel would make ENOSYS of each question, which nobody has written. */
  #checkQuestions({ syscalls }: Policy): void {
    const stated = [this.#default, this.#newer].flatMap((one) =>
      one?.action.kind === "ask" ? [one.line.valueSpan] : [],
    );
    const rules = [...syscalls.require, ...syscalls.rules].flatMap(({ action, span }) =>
      action.kind === "ask" ? [span] : [],
    );
    for (const span of [...stated, ...rules]) {
      const word = askWord(span);
      const place = word ?? span;
      this.#diagnostics.push({
        id: "nobody-to-ask",
        severity: "error",
        message: "a container can ask nobody: it has no terminal of yours, and LXC would answer ENOSYS",
        ...(place === undefined ? {} : { span: place }),
        label: "write deny; callgate lxc watch shows what is refused, and the rule that would permit it",
        ...(word === undefined
          ? {}
          : { fix: { message: "write deny", edits: [{ span: word, text: "deny" }] } }),
      });
    }
  }

  #checkNames(policy: Policy): void {
    const { resolved, diagnostics } = resolve(policy);
    // All mistakes are told at once; what decides nothing can be said only of a policy without any.
    this.#diagnostics.push(...diagnostics);
    if (hasErrors(this.#diagnostics)) return;
    // In a statement a rule that never decides is surely a mistake.
    const own = new Set(this.#rules);
    for (const one of unreachableRules(resolved, (rule) => own.has(rule)))
      this.#diagnostics.push({ ...one, severity: "error" });
  }

  #selectors(line: ConfigLine, action: Action): void {
    const { value, valueSpan } = line;
    const { selectors, diagnostics } = parseSelectors(plainText(valueSpan.source, value, valueSpan.start));
    this.#diagnostics.push(...diagnostics);
    if (selectors.length === 0) return;
    const reason = /(?:^|\s)#\s*(.*)$/.exec(value)?.[1];
    this.#rules.push({
      action,
      selectors,
      span: { ...valueSpan, start: line.keySpan.start },
      ...(reason === undefined || reason === "" ? {} : { reason }),
    });
  }

  #rule({ value, valueSpan }: ConfigLine): void {
    const { rules, diagnostics } = parseRules(plainText(valueSpan.source, value, valueSpan.start));
    this.#rules.push(...rules);
    this.#diagnostics.push(...diagnostics);
  }

  #policy(line: ConfigLine): void {
    const name = withoutReason(line.value);
    const isBuiltin = builtinPolicies().includes(name);
    const path = isBuiltin ? name : resolvePath(dirname(line.valueSpan.source.name), name);
    if (!isBuiltin) this.consulted.push(path);
    const { policy, diagnostics } = loadPolicy(path);
    for (const one of diagnostics)
      this.#diagnostics.push(one.span === undefined ? { ...one, span: line.valueSpan } : one);
    if (policy === undefined) return;
    const layers = [
      policy.files === undefined ? [] : ["files"],
      policy.network === undefined ? [] : ["network"],
      policy.limits === undefined ? [] : ["limits"],
    ].flat();
    if (layers.length > 0)
      this.#error(
        line,
        "not-for-containers",
        `${name} asks for ${layers.join(", ")}: for a container, LXC's own configuration decides that`,
      );
    for (const source of sourcesOf(policy))
      if (source !== path && source.startsWith("/")) this.consulted.push(source);
    this.bases.push(name);
    this.#policies.push(policy);
  }

  #action({ value, valueSpan }: ConfigLine): Action | undefined {
    const text = withoutReason(value);
    const { action, diagnostics } = parseAction(plainText(valueSpan.source, text, valueSpan.start));
    this.#diagnostics.push(...diagnostics);
    return action;
  }

  #version(line: ConfigLine): void {
    const text = withoutReason(line.value).replace(/^"(.*)"$/, "$1");
    const version = /^[0-9]+(\.[0-9]+){1,2}$/.test(text) ? parseVersion(text) : undefined;
    if (version === undefined)
      this.#error(
        line,
        "bad-version",
        `${JSON.stringify(text)} is not a Linux version`,
        "write 6.1, for example",
      );
    if (line.isManaged) this.#managedBaseline = version;
    else this.#baseline = version;
  }

  #abiList(line: ConfigLine): void {
    const names = withoutReason(line.value)
      .split(/[\s,]+/)
      .filter((name) => name !== "");
    const known = names.flatMap((name): AbiSelection => {
      if (name === "native" || name === "all") return [name];
      const abi = abiByName(name);
      if (abi !== undefined) return [abi.name];
      const all = ["all", "native", ...abis.map((one) => one.name)];
      const guess = nearest(name, all);
      this.#error(
        line,
        "unknown-abi",
        `there is no ABI ${JSON.stringify(name)}`,
        guess === undefined ? `ABIs are ${all.join(", ")}` : `did you mean ${guess}?`,
      );
      return [];
    });
    if (names.length === 0) this.#error(line, "bad-value", "the list of ABIs is empty", "write all");
    this.#abis = known;
  }

  #error(line: ConfigLine, id: string, message: string, label?: string): void {
    this.#diagnostics.push({
      id,
      severity: "error",
      message,
      span: line.value === "" ? line.keySpan : line.valueSpan,
      ...(label === undefined ? {} : { label }),
    });
  }
}

/** Every file that a policy's rules were written in. */
function sourcesOf({ syscalls }: Policy): ReadonlySet<string> {
  const rules = [...syscalls.require, ...syscalls.rules];
  return new Set(rules.flatMap((rule) => (rule.span === undefined ? [] : [rule.span.source.name])));
}

function withoutReason(value: string): string {
  return value.replace(/(^|\s)#.*$/, "").trim();
}
