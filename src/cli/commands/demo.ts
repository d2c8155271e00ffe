/** `callgate demo`: a program runs normally, eight attacks fail, and every step can be repeated by hand. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { positionAt } from "../../diagnostics/index.ts";
import { counted } from "../../diagnostics/words.ts";
import { loadPolicy } from "../../formats/load.ts";
import { parseCall } from "../../policy/parser.ts";
import { printRule } from "../../policy/printer.ts";
import { resolve } from "../../policy/resolve.ts";
import type { ResolvedPolicy } from "../../policy/resolved.ts";
import { callCases } from "../../proof/call-cases.ts";
import { nativeProgram, packageRoot } from "../../sandbox/package-files.ts";
import { hasOption, type ParsedArguments, UsageError } from "../arguments.ts";
import { print, printError, terminalOptions } from "../output.ts";

/** One attack: what `probe` calls it, the call as `explain` takes it, and what it is good for. */
const attacks = [
  {
    probe: "keyctl",
    call: "keyctl(KEYCTL_GET_KEYRING_ID)",
    what: "reach the kernel's keyring, shared with the whole session",
  },
  { probe: "bpf", call: "bpf(BPF_MAP_CREATE)", what: "load code into the kernel's own interpreter" },
  {
    probe: "io_uring_setup",
    call: "io_uring_setup",
    what: "open a second way to make calls, past every filter",
  },
  {
    probe: "userfaultfd",
    call: "userfaultfd",
    what: "stop the kernel in the middle of an operation, to win races",
  },
  { probe: "perf_event_open", call: "perf_event_open", what: "watch the kernel at work" },
  {
    probe: "unshare-user",
    call: "unshare(CLONE_NEWUSER)",
    what: "become root in a user namespace, where most kernel holes are",
  },
  { probe: "ptrace", call: "ptrace", what: "take over another process" },
  {
    probe: "socket-netlink-netfilter",
    call: "socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)",
    what: "talk to the kernel's firewall code",
  },
] as const;

const ordinaryWork = 'ls /etc | sort | head -n 3; echo "2 + 2 = $((2 + 2))"; date +%Y';

export async function main(parsed: ParsedArguments): Promise<number> {
  if (parsed.operands.length > 0) throw new UsageError("demo takes no operands");
  if (hasOption(parsed, "lxc")) return (await import("../lxc/demo.ts")).lxcDemo();
  const probe = nativeProgram("probe");
  if (!existsSync(probe)) {
    printError(
      "callgate: the native programs are not there: build them with `npm run build:native` (needs gcc)\n",
    );
    return 2;
  }
  const { policy } = loadPolicy("default");
  if (policy === undefined) throw new Error("the built-in policy default has errors");
  const { resolved } = resolve(policy);
  const bold = (text: string): string => (terminalOptions(1).colour ? `\u001b[1m${text}\u001b[0m` : text);
  const callgate = join(packageRoot(), "bin", "callgate");
  const shown = (path: string): string => {
    const near = relative(process.cwd(), path);
    return near.startsWith("..") ? path : near;
  };

  print(`${bold("1. An ordinary program, under the built-in policy, works as always")}\n\n`);
  print(`$ ${shown(callgate)} run -- sh -c '${ordinaryWork}'\n`);
  const ordinary = spawnSync(callgate, ["run", "--", "sh", "-c", ordinaryWork], { encoding: "utf8" });
  print(ordinary.stdout + ordinary.stderr);
  let failures = ordinary.status === 0 ? 0 : 1;

  print(`\n${bold("2. Eight system calls that exploits use: without callgate, and with it")}\n`);
  for (const { probe: name, call, what } of attacks) {
    const outside = spawnSync(probe, [name], { encoding: "utf8" });
    const inside = spawnSync(callgate, ["run", "--", probe, name], { encoding: "utf8" });
    print(`\n${name}: ${what}\n`);
    print(`$ ${shown(probe)} ${name}\n${outside.stdout}${outside.stderr}`);
    print(`$ ${shown(callgate)} run -- ${shown(probe)} ${name}\n${inside.stdout}${inside.stderr}`);
    print(`  ${decidingRule(resolved, call)}\n`);
    if (inside.status !== 1) failures += 1;
  }

  const summary =
    failures === 0
      ? `The program ran, and all ${attacks.length} calls were refused.`
      : `${counted(failures, "step")} went otherwise than the policy says: please report this.`;
  print(
    `\n${bold(summary)}\nAsk why, of any call:  ${shown(callgate)} explain default '${attacks[5].call}'\n`,
  );
  return failures === 0 ? 0 : 1;
}

/** The rule that forbids a call, with its place and reason. */
function decidingRule(resolved: ResolvedPolicy, text: string): string {
  const { call } = parseCall({ text });
  const [first] = call === undefined ? [] : callCases(resolved, call).calls;
  const origin = first?.cases[0]?.origin;
  if (typeof origin !== "object") return "no rule lets it pass: the policy's default refuses it";
  const { span } = origin;
  const at = span === undefined ? "" : `${span.source.name}:${positionAt(span.source, span.start).line}  `;
  return `${at}${printRule(origin)}`;
}
