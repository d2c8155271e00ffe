/** callgate-policy(5): the language, with the groups and ABIs from their tables. */
import { builtinPolicies } from "../../formats/index.ts";
import { abis, groups, newestVersion } from "../../syscalls/index.ts";
import { argument, literal, prose } from "./mdoc.ts";

const example = `version = 1
name = "thumbnailer"
extends = ["default"]
expect = ["deny ptrace", "deny socket(domain == AF_NETLINK)"]

[syscalls]
baseline = "6.1"
rules = '''
kill ptrace, process_vm_readv   # it never debugs
deny socket(domain not in {AF_UNIX, AF_INET, AF_INET6})
allow clone(!(flags & (CLONE_NEWUSER | CLONE_NEWNS)))
allow @basic-io, @file-system
'''`;

const grammar = `rule      = action , selector , { "," , selector } , [ "#" reason ]
action    = "allow" | "deny" | "errno" "(" ( NAME | 0..4095 ) ")"
          | "kill" | "kill-thread" | "trap" [ "(" int ")" ] | "log"
          | "trace" "(" int ")" | "notify" | "ask"
selector  = [ abi ":" ] , ( call | "@" group | "#" number | "*" ) ,
            [ "(" condition ")" ]
condition = and , { "||" and }
and       = not , { "&&" not }
not       = "!" "(" condition ")" | "(" condition ")" | test
test      = operand , [ comparison ]
comparison = ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value
          | [ "not" ] "in" "{" value [ ".." value ] , … "}"
          | "within" value
operand   = word [ "&" atom ] | "(" operand ")"
word      = argument | "args[" 0..5 "]" | "ip"
value     = atom , { "|" atom }
atom      = [ "~" | "-" ] ( int | CONSTANT ) | [ "~" ] "(" value ")"
int       = decimal | 0x… | 0o… | 0b…, with "_" between digits`;

/** The file's keys: what each is called, and what it does. */
const keys: readonly (readonly [string, string])[] = [
  ["version", "The version of the language: 1."],
  ["name", "The policy's name, in messages."],
  [
    "extends",
    "Policies whose rules come after this one's own: names of built-in policies, and paths relative to this file. Of what can be there once only, the first that has it counts: this file, then its parents, depth first. Lists are joined.",
  ],
  [
    "expect",
    "Rules that this policy is expected to follow. callgate check proves that each call that a line selects gets the line's action.",
  ],
  ["syscalls.default", "What a call gets when no rule matches. It is deny when it is not said."],
  [
    "syscalls.baseline",
    "A Linux version. A call that is newer is in no group and not in *, and needs a rule with its own name. It must be given where the default is allow or log.",
  ],
  [
    "syscalls.newer",
    "What newer calls get that no rule names, and what unknown numbers get: errno(ENOSYS) when it is not said.",
  ],
  [
    "syscalls.abis",
    "The ABIs that the rules are for: native, all, or names. It is native when it is not said.",
  ],
  ["syscalls.other-abis", "What every call of all other ABIs gets: kill when it is not said."],
  [
    "syscalls.multiplexed",
    "What a condition means behind socketcall and ipc of 32-bit ABIs, where the arguments lie in memory: strict (the default) takes the strictest action that is possible, open lets through what the direct call might allow.",
  ],
  [
    "syscalls.require",
    "Rules that refuse, and that nothing overrides: they come before all others, also before those of a child and of the command line.",
  ],
  ["syscalls.rules", "The rules: one text with a rule a line, or a list of texts."],
  ["files.read, files.write", "Files and folders that the program may read, or also change."],
  ["network.mode, network.ports", "off, host or ports; and which ports."],
  [
    "limits.memory, limits.processes, limits.cpu-time, limits.wall-time, limits.file-size, limits.open-files",
    "Limits: sizes with K, M, G or T, times with s, m or h.",
  ],
  [
    "environment.keep, environment.set",
    "Variables that are passed on, with a * at the end for any rest; and variables that are set.",
  ],
  [
    "hardening.new-code, hardening.exec, hardening.missing-layers",
    "deny: no memory that is writable and executable. files: nothing is executed from memory. And the layers that may be absent where they cannot be set up.",
  ],
];

const actions: readonly (readonly [string, string])[] = [
  ["allow", "The call is made."],
  ["deny", "It fails with EPERM."],
  ["errno(NAME)", "It fails with this error."],
  ["kill", "The whole process ends by SIGSYS."],
  ["kill-thread", "The calling thread ends."],
  ["trap, trap(N)", "The thread gets SIGSYS, which it may handle."],
  ["log", "The call is made, and the kernel logs it."],
  ["trace(N)", "A tracer is asked; without one the call fails with ENOSYS."],
  ["notify", "A supervisor of the caller's own answers; callgate run has none and refuses it."],
  [
    "ask",
    "The call waits until somebody has said on the terminal whether it may be made: once, for this run, always, or not. Without a terminal it fails with EPERM. Only calls that their scalar arguments describe can be asked about.",
  ],
];

export function policyPage({ version, date }: { readonly version: string; readonly date: string }): string {
  const newest = `${newestVersion.major}.${newestVersion.minor}`;
  return `.\\" Generated from the tables of the language. Do not edit.
.Dd ${date}
.Dt CALLGATE\\-POLICY 5
.Os "callgate ${version}"
.Sh NAME
.Nm callgate\\-policy
.Nd policies of callgate: which system calls a program may make
.Sh DESCRIPTION
${prose("A policy is a TOML file, or the same as JSON. Its rules are tried from top to bottom, and the first that matches a call decides what becomes of it. Rules of the policies that it extends come after its own. There are no priorities, and no rule wins over one before it; what must hold whatever anybody adds stands in require.")}
.Pp
${prose("An unknown call, argument, constant, group or key is an error. A rule on a call governs every number that reaches the same function of the kernel, on every ABI of the policy: setuid is also setuid32, and socket also what socketcall does.")}
.Ss Keys
${list(keys)}
.Ss Rules
${literal(grammar.split("\n"))}
.Pp
${prose("A trailing comma goes on with the rule on the next line. What stands behind a # is the reason, which is shown wherever the rule decides.")}
.Pp
${prose("Arguments have the names of their manual pages, as in socket(domain, type, protocol). They are compared as the kernel reads them: 16, 32 or 64 bits, with their sign. A bare argument means: is not zero. x within MASK means: no bit outside of MASK is set. A range has both its ends. A pointer can be compared with 0 only. An argument that lies in memory cannot be seen by a filter: the strictest action that is possible then holds.")}
.Ss Actions
${list(actions)}
.Ss ABIs
${prose(`${abis.map((abi) => abi.name).join(", ")}. The tables know the calls up to Linux ${newest}.`)}
.Ss Groups
${list(groups.map(({ name, description }) => [name, `${description.charAt(0).toUpperCase()}${description.slice(1)}.`] as const))}
.Ss Built\\-in policies
${prose(`${builtinPolicies().join(", ")}. callgate policies NAME prints one of them, with the reason of every rule.`)}
.Sh EXAMPLES
${literal(example.split("\n"))}
.Sh SEE ALSO
.Xr callgate 1 ,
.Xr seccomp 2 ,
.Xr syscalls 2
`;
}

function list(entries: readonly (readonly [string, string])[]): string {
  const items = entries.map(([name, text]) => `.It Cm ${argument(name)}\n${prose(text)}`);
  return [".Bl -tag -width Ds", ...items, ".El"].join("\n");
}
