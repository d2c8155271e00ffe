/** The policies of `bench/policies`, and what their filters are to reach. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Filter } from "../src/bpf/index.ts";
import { compile, type Optimize } from "../src/compiler/index.ts";
import { readPolicy } from "../src/formats/index.ts";
import { packageRoot } from "../src/sandbox/package-files.ts";
import type { Profile } from "./calls.ts";

export const policyNames = ["docker", "docker3", "firefox", "lxc", "pledge"] as const;
export type PolicyName = (typeof policyNames)[number];
export const aims: readonly Optimize[] = ["size", "kernel", "classic"];

interface Goals {
  readonly instructions: number;
  readonly longest: number;
  /** Undefined for a policy that looks at no arguments. */
  readonly checked: number | undefined;
  readonly denied: number;
  readonly mix: number;
}

/** What is to be reached: `instructions` by `size`, `mix` by `classic`, the others by `kernel`. */
export const goals: Readonly<Record<PolicyName, Goals>> = {
  docker: { instructions: 66, longest: 19, checked: 11.0, denied: 15, mix: 6.9 },
  docker3: { instructions: 185, longest: 20, checked: 12.5, denied: 15, mix: 7.5 },
  firefox: { instructions: 153, longest: 19, checked: 13.2, denied: 12.2, mix: 8.5 },
  lxc: { instructions: 15, longest: 10, checked: 9.0, denied: 8.0, mix: 7.0 },
  pledge: { instructions: 17, longest: 10, checked: undefined, denied: 8.3, mix: 7.2 },
};

/**
 * The policy lxc as the goal of 15 instructions has it: x32's numbers are not killed, but get the default. So `kexec_load` is let
 * through by its x32 number.
 */
export const lxcWithX32 = `version = 1
[syscalls]
default = "allow"
baseline = "6.18"
newer = "allow"
abis = ["x86_64", "x32"]
rules = '''
errno(EACCES) x86_64:umount2((flags & MNT_DETACH) == MNT_DETACH)
deny x86_64:kexec_load, x86_64:open_by_handle_at, x86_64:init_module, x86_64:finit_module, x86_64:delete_module
'''
`;

export function profileOf(name: PolicyName): { readonly text: string; readonly profile: Profile } {
  const text = readFileSync(join(packageRoot(), "bench", "policies", `${name}.json`), "utf8");
  const profile: Profile = JSON.parse(text);
  return { text, profile };
}

export function compileText(text: string, optimize: Optimize): Filter {
  const { policy } = readPolicy(text, { target: "x86_64" });
  if (policy === undefined) throw new Error("a policy of the bench has errors");
  return compile(policy, { target: "x86_64", optimize });
}
