/** What `multiplexed = "strict"` costs. */
import { listWords } from "../../diagnostics/index.ts";
import { hasUnknown } from "../../policy/resolved-condition.ts";
import { at } from "../edits.ts";
import type { Finding, Lint } from "../lint.ts";
import { decisionsNamed, lets, possibleActions, type Subject, waysTo } from "../subject.ts";

export const multiplexedLoss: Lint = {
  documentation: {
    id: "multiplexed-loss",
    severity: "note",
    what: "A condition that a multiplexer (socketcall, ipc) hides costs 32-bit programs the whole call.",
    why: 'Behind socketcall the arguments lie in memory, where no filter sees them: with multiplexed = "strict" the strictest possible action holds, and 32-bit programs, whose C library makes socket calls in no other way, lose what the rule refuses only in part. multiplexed = "open" lets them pass, and is a hole: 64-bit programs can make 32-bit calls too.',
    example:
      "version = 1\n[syscalls]\nabis = [\"x86_64\", \"x86\"]\nrules = '''\ndeny socket(domain == AF_NETLINK)\nallow @default, socket\n'''\n",
    instead:
      "version = 1\n[syscalls]\nabis = [\"x86_64\"]\nrules = '''\ndeny socket(domain == AF_NETLINK)\nallow @default, socket\n'''\n",
  },
  check: (subject) => {
    const lost = new Map<string, string[]>();
    for (const abi of subject.resolved.abis) {
      for (const call of abi.calls) {
        for (const { decisions, name, through } of waysTo(call)) {
          if (name === undefined || through === undefined) continue;
          const isHidden = decisions.entries.some((entry) => hasUnknown(entry.condition));
          if (!isHidden || possibleOnlyRefusals(decisions)) continue;
          const direct = decisionsNamed(abi, name).find((one) => one !== decisions);
          if (direct === undefined || !possibleActions(direct).some(lets)) continue;
          if (decisions.entries.some((entry) => entry.unknown === "most-lenient")) continue;
          const key = `${abi.abi.name} ${through}`;
          lost.set(key, [...(lost.get(key) ?? []), name]);
        }
      }
    }
    return [...lost].map(([key, names]) => describe(subject, key, names));
  },
};

/** Refused whatever the condition: then the condition costs nothing. */
function possibleOnlyRefusals(decisions: Parameters<typeof possibleActions>[0]): boolean {
  return !possibleActions(decisions).some(lets);
}

function describe(subject: Subject, key: string, names: readonly string[]): Finding {
  const [abi = "", through = ""] = key.split(" ");
  const first = subject.items.find(
    (item) =>
      item.isOwn &&
      subject
        .placementsOf(item)
        .some(
          (one) =>
            one.through === through && hasUnknown(one.entry.condition) && names.includes(one.name ?? ""),
        ),
  );
  return {
    message: `${abi} programs lose ${listWords(names, "and")}: through ${through} the condition cannot be seen, and "strict" refuses`,
    label: 'multiplexed = "open" would be a hole instead',
    ...at(first?.single.span),
  };
}
