/** Rules that stand for a layer in the filter: what no mount, namespace or Landlock decides. They cannot be overridden. */
import { sandboxSource } from "../denials/index.ts";
import { plainText } from "../policy/document.ts";
import { parseRules } from "../policy/parser.ts";
import type { Policy, Rule } from "../policy/types.ts";

const always = `
deny ioctl(request in {TIOCSTI, TIOCLINUX})  # typing into the caller's terminal
`;

// A ring's calls are made by the kernel, and no filter sees them. So rules on sockets hold only where there is no ring.
const noRings = `
errno(ENOSYS) io_uring_setup, io_uring_enter, io_uring_register  # it makes sockets, past every filter
`;

// Families that no network namespace divides: VSOCK reaches the hypervisor, ALG the kernel's cryptography.
const families = `
errno(EAFNOSUPPORT) socket(domain not in {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})  # no network
`;

// Where the network is the caller's own: a socket file of the machine's is as good as a connection.
const noSockets = `
errno(EACCES) socket  # no network
`;

// Without namespaces: what is the machine's own, and what can be done to processes that signals do not reach.
const noNamespaces = `
errno(ENOSYS) shmget, msgget, semget, mq_open  # memory and queues of the machine
deny prlimit64(pid != 0)  # limits of other processes
deny setpriority(who != 0), ioprio_set(who != 0)  # priorities of other processes
`;

// Landlock decides on TCP's bind and connect. Everything else that leaves the machine is refused here.
const onlyTcp = `
errno(EAFNOSUPPORT) socket(domain not in {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})  # only TCP
errno(EACCES) socket(domain in {AF_INET, AF_INET6} && type & SOCK_TYPE_MASK != SOCK_STREAM)  # only TCP
errno(EPROTONOSUPPORT) socket(domain in {AF_INET, AF_INET6} && protocol not in {IPPROTO_IP, IPPROTO_TCP})  # only TCP
errno(EOPNOTSUPP) sendto(flags & MSG_FASTOPEN), sendmsg(flags & MSG_FASTOPEN), sendmmsg(flags & MSG_FASTOPEN)  # connects without connect
`;

const noNewCode = `
deny mmap(prot & (PROT_WRITE | PROT_EXEC) == PROT_WRITE | PROT_EXEC)  # new-code = "deny"
deny mprotect(prot & (PROT_WRITE | PROT_EXEC) == PROT_WRITE | PROT_EXEC)  # new-code = "deny"
deny pkey_mprotect(prot & (PROT_WRITE | PROT_EXEC) == PROT_WRITE | PROT_EXEC)  # new-code = "deny"
deny shmat(shmflg & SHM_EXEC)  # new-code = "deny"
deny personality(persona != 0xffff_ffff && persona & READ_IMPLIES_EXEC)  # new-code = "deny"
`;

const onlyFiles = `
deny memfd_create(!(flags & MFD_NOEXEC_SEAL))  # exec = "files"
deny execveat(flags & AT_EMPTY_PATH)  # exec = "files"
`;

/** The policy with these rules before all others. */
export function withSandboxRules(policy: Policy, hasNamespaces: boolean): Policy {
  const mode = policy.network?.mode ?? "off";
  const network = mode === "host" ? "" : mode === "ports" ? onlyTcp : hasNamespaces ? families : noSockets;
  const rings = mode === "host" ? "" : noRings;
  const hardening = `${policy.hardening?.newCode === "deny" ? noNewCode : ""}${policy.hardening?.exec === "files" ? onlyFiles : ""}`;
  const shared = hasNamespaces ? "" : noNamespaces;
  const added = rulesIn(`${always}${network}${rings}${shared}${hardening}`);
  const { syscalls } = policy;
  return { ...policy, syscalls: { ...syscalls, require: [...added, ...syscalls.require] } };
}

/**
 * The policy of a program that is asked about on its own terminal: without a sandbox too, it must not type the answers.
 */
export function withTerminalKept(policy: Policy): Policy {
  const { syscalls } = policy;
  return { ...policy, syscalls: { ...syscalls, require: [...rulesIn(always), ...syscalls.require] } };
}

function rulesIn(text: string): readonly Rule[] {
  const { rules, diagnostics } = parseRules(plainText({ name: sandboxSource, text }, text, 0));
  const [wrong] = diagnostics;
  if (wrong !== undefined) throw new Error(`a rule of the sandbox is wrong: ${wrong.message}`);
  return rules;
}
