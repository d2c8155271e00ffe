/**
 * OCI seccomp profiles, as runc, crun, moby and podman have them: the object with `defaultAction`, by itself or as
 * `linux.seccomp` of a bundle's config.json.
 *
 *     { "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
 *       "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }] }
 *
 * What a profile means is what runc and libseccomp make of it, and that differs from a policy of ours:
 *
 * - A name is that one call: neither its twins nor what has the same work are meant. Only `socket` and the like on x86
 *   also stand for their code behind `socketcall`, and there their first argument is not looked at.
 * - Arguments are compared as whole 64-bit registers, without sign: `args[N]`.
 * - Several arguments of one entry all have to match. Where one index occurs twice, each is an entry of its own.
 * - An entry with the default action says nothing: runc leaves it out.
 * - An entry without arguments wins against those with arguments, wherever it stands. How those with arguments
 *   meet is in `oci-overlap.ts`.
 * - Numbers without an entry get the default action; other architectures kill the thread
 *   (the process, where that is the default).
 * - The machine's own architecture is always among the profile's.
 *
 * The ENOSYS that runc returns for numbers above all that a profile names is runc's own and no part of it.
 */
import { type Diagnostic, nearest, type Span } from "../diagnostics/index.ts";
import type { DocumentNode, TableNode } from "../policy/document.ts";
import type { PolicyLayer } from "../policy/layer.ts";
import { emptyLayer } from "../policy/layer.ts";
import type { Action, Condition, Rule, Selector } from "../policy/types.ts";
import {
  type AbiName,
  abiByName,
  abis as allAbis,
  compareVersions,
  errnoName,
  errnoNumber,
  hasSyscall,
  isMultiplexed,
  type KernelVersion,
  multiplexedOf,
  newestVersion,
  parseVersion,
  syscallByName,
  syscallNames,
  twinsOf,
} from "../syscalls/index.ts";
import { type ArgumentTest, canBothMatch, inTreeOrder, type OciRule } from "./oci-overlap.ts";

/** What a profile is read for: it may have entries for machines, kernels and capabilities. */
export interface OciOptions {
  readonly target: AbiName;
  /** `includes` and `excludes` by minKernel; by default the newest kernel of the tables. */
  readonly kernel?: string | undefined;
  /** The container's bounding set; by default what Docker gives a container. */
  readonly capabilities?: readonly string[];
}

/** The capabilities of a container of Docker that asks for nothing else. */
const defaultCapabilities: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** The profile in a document; undefined where the document is none. */
export function findOciProfile(root: TableNode): TableNode | undefined {
  if (root.entries.has("defaultAction")) return root;
  const linux = root.entries.get("linux")?.value;
  const seccomp = linux?.kind === "table" ? linux.entries.get("seccomp")?.value : undefined;
  return seccomp?.kind === "table" && seccomp.entries.has("defaultAction") ? seccomp : undefined;
}

/** A profile as a policy's layer, with everything in it that could not be read. */
export function readOciProfile(
  profile: TableNode,
  options: OciOptions,
): { readonly layer: PolicyLayer; readonly diagnostics: readonly Diagnostic[] } {
  const reader = new ProfileReader(options);
  return { layer: reader.layer(profile), diagnostics: reader.diagnostics };
}

const profileKeys = [
  "defaultAction",
  "defaultErrnoRet",
  "defaultErrno",
  "architectures",
  "archMap",
  "syscalls",
  "flags",
  "listenerPath",
  "listenerMetadata",
];
const entryKeys = ["names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"];

const EPERM = 1;
const largestErrno = 4095;
const allOnes = 0xffff_ffff_ffff_ffffn;

/** What moby calls the machines in `includes.arches`, where it is not our name. */
const mobyNames: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };

/** One way in which a name is called: a number of an ABI, and for codes behind `socketcall` what chooses them. */
interface Way {
  readonly abi: AbiName;
  readonly nr: number;
  readonly code: number | undefined;
}

class ProfileReader {
  readonly diagnostics: Diagnostic[] = [];
  readonly #options: OciOptions;
  #abis: readonly AbiName[] = [];

  constructor(options: OciOptions) {
    this.#options = options;
  }

  layer(profile: TableNode): PolicyLayer {
    this.#keys(profile, profileKeys, "a profile");
    this.#abis = this.#architectures(profile);
    const errno = this.#errno(profile, "defaultErrnoRet", "defaultErrno");
    const fallback = this.#action(profile, "defaultAction", errno) ?? { kind: "kill-thread" };
    const entries = this.#list(profile, "syscalls").flatMap((node) => this.#entry(node, fallback));
    // First what is decided by the number alone, as libseccomp decides it; then the rest in the order of its tree.
    const alone = entries.filter((rule) => rule.tests.length === 0);
    const byArguments = inTreeOrder(entries.filter((rule) => rule.tests.length > 0));
    this.#warnOfOverlap(byArguments);
    return {
      ...emptyLayer,
      default: fallback,
      newer: fallback,
      // As libseccomp has it; but what kills the process does so here too.
      otherAbis: fallback.kind === "kill" ? fallback : { kind: "kill-thread" },
      abis: this.#abis,
      rules: [...alone, ...byArguments].map(ruleOf),
    };
  }

  /** Which of two entries decides where both match is for libseccomp's tree to say, and no order of theirs says it always. */
  #warnOfOverlap(rules: readonly OciRule[]): void {
    const told = new Set<string>();
    for (const [index, rule] of rules.entries()) {
      const isOther = (one: OciRule): boolean =>
        one.abi === rule.abi &&
        one.nr === rule.nr &&
        !sameAction(one.action, rule.action) &&
        canBothMatch(one, rule);
      if (told.has(rule.name) || !rules.slice(0, index).some(isOther)) continue;
      told.add(rule.name);
      this.#report(
        "warning",
        rule.span,
        "oci-rules-overlap",
        `which of the entries on ${rule.name} decides where several match is up to libseccomp's tree, and can be another than here`,
        "make them exclude each other",
      );
    }
  }

  #error(span: Span | undefined, id: string, message: string, label?: string): undefined {
    this.#report("error", span, id, message, label);
    return undefined;
  }

  #report(
    severity: Diagnostic["severity"],
    span: Span | undefined,
    id: string,
    message: string,
    label?: string,
  ): void {
    const place = span === undefined ? {} : { span };
    this.diagnostics.push({ id, severity, message, ...place, ...(label === undefined ? {} : { label }) });
  }

  /** Keys without a meaning here are told: what a misspelt one was to do would be missing. */
  #keys(table: TableNode, known: readonly string[], where: string): void {
    for (const [key, entry] of table.entries) {
      if (known.includes(key)) continue;
      const guess = nearest(key, known);
      const message = `there is no key ${JSON.stringify(key)} in ${where}`;
      const label = guess === undefined ? `${where} has ${known.join(", ")}` : `did you mean ${guess}?`;
      this.#report("warning", entry.key ?? entry.value.span, "unknown-key", message, label);
    }
  }

  #list(table: TableNode, key: string): readonly DocumentNode[] {
    const node = table.entries.get(key)?.value;
    if (node === undefined || isNull(node)) return [];
    return node.kind === "array"
      ? node.items
      : (this.#error(node.span, "wrong-type", `${key} is a list`) ?? []);
  }

  #strings(table: TableNode, key: string): readonly Extract<DocumentNode, { kind: "string" }>[] {
    return this.#list(table, key).flatMap((item) =>
      item.kind === "string"
        ? [item]
        : (this.#error(item.span, "wrong-type", `${key} is a list of strings`) ?? []),
    );
  }

  #integer(table: TableNode, key: string, largest: bigint): bigint | undefined {
    const node = table.entries.get(key)?.value;
    if (node === undefined || isNull(node)) return undefined;
    if (node.kind === "integer" && node.value >= 0n && node.value <= largest) return node.value;
    return this.#error(node.span, "bad-value", `${key} is a number from 0 to ${largest}`);
  }

  /** The number of an errno: by its name, as containers-common has it, or as a number. */
  #errno(table: TableNode, key: string, nameKey: string): number | undefined {
    const name = table.entries.get(nameKey)?.value;
    if (name?.kind === "string" && name.value !== "") {
      const number = errnoNumber(this.#options.target, name.value);
      return (
        number ?? this.#error(name.span, "unknown-errno", `there is no errno ${JSON.stringify(name.value)}`)
      );
    }
    const value = this.#integer(table, key, BigInt(largestErrno));
    return value === undefined ? undefined : Number(value);
  }

  #action(table: TableNode, key: string, errno: number | undefined): Action | undefined {
    const node = table.entries.get(key)?.value;
    if (node?.kind !== "string") {
      const message = `${key} is missing: it says what happens to a call`;
      return this.#error(
        node?.span ?? table.span,
        "bad-value",
        message,
        'write "SCMP_ACT_ERRNO", for example',
      );
    }
    switch (node.value) {
      case "SCMP_ACT_KILL":
      case "SCMP_ACT_KILL_THREAD":
        return { kind: "kill-thread" };
      case "SCMP_ACT_KILL_PROCESS":
        return { kind: "kill" };
      case "SCMP_ACT_TRAP":
        return { kind: "trap", data: 0 };
      case "SCMP_ACT_ERRNO":
        return { kind: "errno", errno: this.#errnoInWords(errno ?? EPERM) };
      case "SCMP_ACT_TRACE":
        return { kind: "trace", data: errno ?? EPERM };
      case "SCMP_ACT_ALLOW":
        return { kind: "allow" };
      case "SCMP_ACT_LOG":
        return { kind: "log" };
      case "SCMP_ACT_NOTIFY":
        return { kind: "notify" };
      default: {
        const guess = nearest(node.value, actionNames);
        const label =
          guess === undefined ? `actions are ${actionNames.join(", ")}` : `did you mean ${guess}?`;
        return this.#error(
          node.span,
          "unknown-action",
          `there is no action ${JSON.stringify(node.value)}`,
          label,
        );
      }
    }
  }

  /** A name where it stands for the same number on all of the profile's ABIs. */
  #errnoInWords(number: number): string | number {
    const name = errnoName(this.#options.target, number);
    if (name === undefined) return number;
    return this.#abis.every((abi) => errnoNumber(abi, name) === number) ? name : number;
  }

  /** The ABIs of the profile on the target machine, which is always one of them. */
  #architectures(profile: TableNode): readonly AbiName[] {
    const { target } = this.#options;
    const listed = this.#strings(profile, "architectures");
    const mapped = this.#list(profile, "archMap");
    if (listed.length > 0 && mapped.length > 0) {
      const span = profile.entries.get("archMap")?.key;
      this.#error(
        span,
        "bad-value",
        "a profile has architectures or archMap, not both",
        "remove one of them",
      );
    }
    const ofTarget = mapped.flatMap((node) => {
      if (node.kind !== "table")
        return this.#error(node.span, "wrong-type", "archMap is a list of objects") ?? [];
      const own = node.entries.get("architecture")?.value;
      const isTarget = own?.kind === "string" && abiNameOf(own.value) === target;
      return isTarget ? [own, ...this.#strings(node, "subArchitectures")] : [];
    });
    const names = [...listed, ...ofTarget].flatMap((node) => {
      const name = abiNameOf(node.value);
      if (name !== undefined) return [name];
      const isOne = /^SCMP_ARCH_[A-Z0-9_]+$/.test(node.value);
      const message = isOne
        ? `${node.value} is not among the ABIs that callgate knows: its calls are decided as those of other ABIs`
        : `there is no architecture ${JSON.stringify(node.value)}`;
      this.#report(isOne ? "warning" : "error", node.span, "unknown-abi", message);
      return [];
    });
    return [...new Set([target, ...names])];
  }

  #entry(node: DocumentNode, fallback: Action): readonly OciRule[] {
    if (node.kind !== "table")
      return this.#error(node.span, "wrong-type", "syscalls is a list of objects") ?? [];
    this.#keys(node, entryKeys, "an entry of syscalls");
    const action = this.#action(node, "action", this.#errno(node, "errnoRet", "errno"));
    const tests = this.#list(node, "args")
      .flatMap((argument) => this.#test(argument))
      .sort((a, b) => a.index - b.index);
    // An entry for other machines names their calls, which need not be known here.
    if (!this.#isMeant(node)) return [];
    const names = this.#names(node);
    if (action === undefined || sameAction(action, fallback)) return [];
    const comment = node.entries.get("comment")?.value;
    const reason = comment?.kind === "string" && comment.value !== "" ? comment.value : undefined;
    const alternatives = isRepeated(tests) ? tests.map((test) => [test]) : [tests];
    const rules: OciRule[] = [];
    // A profile has hundreds of names, and a cold start waits for each: loops, and no object that nobody needs.
    for (const { value: name, span } of names) {
      const isByName = isExactByName(name, this.#abis);
      for (const { abi, nr, code } of waysOf(name, this.#abis)) {
        for (const all of alternatives) {
          // Behind socketcall the first word is the code: libseccomp puts its own test into that place.
          const placed = code === undefined ? all : [codeTest(code), ...all.filter((one) => one.index !== 0)];
          const counting = placed.filter((one) => !isAlwaysTrue(one));
          rules.push({ abi, nr, name, action, tests: counting, isByName, reason, span });
        }
        if (isByName) break;
      }
    }
    return rules;
  }

  #names(entry: TableNode): readonly Extract<DocumentNode, { kind: "string" }>[] {
    const single = entry.entries.get("name")?.value;
    const names = this.#strings(entry, "names");
    const all = single?.kind === "string" && single.value !== "" ? [single, ...names] : names;
    if (single?.kind === "string" && single.value !== "" && names.length > 0)
      this.#error(single.span, "bad-value", "an entry has name or names, not both", "move it to names");
    if (all.length === 0) this.#error(entry.span, "bad-value", "this entry names no system call");
    return all.filter(({ value, span }) => {
      if (this.#isKnown(value)) return true;
      const guess = nearest(value, syscallNames());
      const message = `there is no system call ${JSON.stringify(value)}: this name decides nothing`;
      this.#report("warning", span, "unknown-syscall", message, guess && `did you mean ${guess}?`);
      return false;
    });
  }

  /**
   * Whether the name is a call of any ABI: profiles name the calls of all machines. Those of its own ABIs are looked up
   * all the same, which parses their tables: so most names need no search in a table's text.
   */
  #isKnown(name: string): boolean {
    if (this.#abis.some((abi) => syscallByName(abi, name) !== undefined)) return true;
    return allAbis.some(({ name: abi }) => hasSyscall(abi, name) || isMultiplexed(abi, name));
  }

  #test(node: DocumentNode): readonly ArgumentTest[] {
    if (node.kind !== "table") return this.#error(node.span, "wrong-type", "args is a list of objects") ?? [];
    this.#keys(node, ["index", "value", "valueTwo", "op"], "an argument");
    const index = this.#integer(node, "index", 5n);
    const value = this.#integer(node, "value", allOnes);
    const valueTwo = this.#integer(node, "valueTwo", allOnes) ?? 0n;
    const op = node.entries.get("op")?.value;
    const name = op?.kind === "string" ? operators.find((one) => `SCMP_CMP_${one}` === op.value) : undefined;
    if (name === undefined) {
      const label = operators.map((one) => `SCMP_CMP_${one}`).join(", ");
      return this.#error(op?.span ?? node.span, "bad-value", "this is no comparison", label) ?? [];
    }
    if (index === undefined) return this.#error(node.span, "bad-value", "this argument has no index") ?? [];
    return name === "MASKED_EQ"
      ? [{ index: Number(index), op: name, mask: value ?? 0n, value: valueTwo & (value ?? 0n) }]
      : [{ index: Number(index), op: name, mask: allOnes, value: value ?? 0n }];
  }

  /** Whether `includes` and `excludes` let the entry count on this machine, kernel and container. */
  #isMeant(entry: TableNode): boolean {
    const excludes = this.#requirement(entry, "excludes");
    const includes = this.#requirement(entry, "includes");
    const { target, capabilities = defaultCapabilities } = this.#options;
    const arch = mobyNames[target] ?? target;
    // Asked for where an entry depends on it: few do.
    const isOld = (least: KernelVersion | undefined): boolean =>
      least !== undefined && compareVersions(this.#kernel(), least) < 0;
    if (excludes.arches.includes(arch) || excludes.caps.some((one) => capabilities.includes(one)))
      return false;
    if (excludes.minKernel !== undefined && !isOld(excludes.minKernel)) return false;
    if (includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
    return includes.caps.every((one) => capabilities.includes(one)) && !isOld(includes.minKernel);
  }

  #kernel(): KernelVersion {
    const { kernel } = this.#options;
    return (kernel === undefined ? undefined : parseVersion(kernel)) ?? newestVersion;
  }

  #requirement(entry: TableNode, key: string): Requirement {
    const node = entry.entries.get(key)?.value;
    if (node === undefined || isNull(node)) return { arches: [], caps: [], minKernel: undefined };
    if (node.kind !== "table")
      return (
        this.#error(node.span, "wrong-type", `${key} is an object`) ?? {
          arches: [],
          caps: [],
          minKernel: undefined,
        }
      );
    this.#keys(node, ["arches", "caps", "minKernel"], key);
    const least = node.entries.get("minKernel")?.value;
    const minKernel = least?.kind === "string" && least.value !== "" ? parseVersion(least.value) : undefined;
    if (least?.kind === "string" && least.value !== "" && minKernel === undefined)
      this.#error(least.span, "bad-version", `${JSON.stringify(least.value)} is not a Linux version`);
    const words = (list: string): readonly string[] => this.#strings(node, list).map((one) => one.value);
    return { arches: words("arches"), caps: words("caps"), minKernel };
  }
}

interface Requirement {
  readonly arches: readonly string[];
  readonly caps: readonly string[];
  readonly minKernel: KernelVersion | undefined;
}

const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"] as const;
const actionNames = [
  "KILL",
  "KILL_THREAD",
  "KILL_PROCESS",
  "TRAP",
  "ERRNO",
  "TRACE",
  "ALLOW",
  "LOG",
  "NOTIFY",
].map((name) => `SCMP_ACT_${name}`);

function isNull(node: DocumentNode): boolean {
  return node.kind === "other" && node.what === "null";
}

function abiNameOf(architecture: string): AbiName | undefined {
  const name = /^SCMP_ARCH_([A-Z0-9_]+)$/.exec(architecture)?.[1];
  return name === undefined ? undefined : abiByName(name.toLowerCase())?.name;
}

function waysOf(name: string, abis: readonly AbiName[]): readonly Way[] {
  return abis.flatMap((abi) => {
    const direct = syscallByName(abi, name);
    const ways: Way[] = direct === undefined ? [] : [{ abi, nr: direct.nr, code: undefined }];
    if (!isMultiplexed(abi, name)) return ways;
    for (const one of multiplexedOf(abi)) {
      const multiplexer = one.name === name ? syscallByName(abi, one.multiplexer) : undefined;
      if (multiplexer !== undefined) ways.push({ abi, nr: multiplexer.nr, code: one.code });
    }
    return ways;
  });
}

/** Whether a policy's rule on the name means just the calls of that name on all these ABIs. */
function isExactByName(name: string, abis: readonly AbiName[]): boolean {
  return abis.every((abi) =>
    twinsOf(name).every((one) => (one === name || !hasSyscall(abi, one)) && !isMultiplexed(abi, one)),
  );
}

/** The policy's rule: by name where that means the same on every ABI of the profile, else by number. */
function ruleOf({ abi, nr, name, action, tests, isByName, reason, span }: OciRule): Rule {
  const [first, ...others] = tests.map(conditionOf);
  const condition: Condition | undefined =
    first === undefined || others.length === 0 ? first : { kind: "and", items: [first, ...others] };
  const place = span === undefined ? {} : { span };
  const selector: Selector = {
    ...(isByName ? { target: { kind: "name", name } } : { abi, target: { kind: "number", nr } }),
    ...(condition === undefined ? {} : { condition }),
    ...place,
  };
  return { action, selectors: [selector], ...(reason === undefined ? {} : { reason }), ...place };
}

function isRepeated(tests: readonly ArgumentTest[]): boolean {
  return new Set(tests.map((test) => test.index)).size < tests.length;
}

/** A test that no value fails: libseccomp makes nothing of it. */
function isAlwaysTrue({ op, mask }: ArgumentTest): boolean {
  return op === "MASKED_EQ" && mask === 0n;
}

function codeTest(code: number): ArgumentTest {
  return { index: 0, op: "EQ", mask: allOnes, value: BigInt(code) };
}

function sameAction(a: Action, b: Action): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function conditionOf({ index, op, mask, value }: ArgumentTest): Condition {
  const operator = ({ NE: "!=", LT: "<", LE: "<=", EQ: "==", GE: ">=", GT: ">", MASKED_EQ: "==" } as const)[
    op
  ];
  return {
    kind: "test",
    operand: {
      word: { kind: "raw", index },
      ...(mask === allOnes ? {} : { mask: { kind: "integer", value: mask } }),
    },
    test: { kind: "compare", operator, value: { kind: "integer", value } },
  };
}
