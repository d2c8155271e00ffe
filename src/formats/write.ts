/** Policies as text, in every format that is written: the other half of reading. */
import { requireAbi } from "../policy/abi-name.ts";
import { requirePolicy } from "../policy/resolve.ts";
import type { Policy } from "../policy/types.ts";
import { type AbiName, hostAbi } from "../syscalls/index.ts";
import { writeLxcProfile } from "./lxc-profile/write.ts";
import { writeJson, writeToml } from "./write-toml.ts";

export interface WritePolicyOptions {
  /** The machine that the text is for, where the format is about one; by default this one. */
  readonly target?: AbiName;
}

export interface WrittenPolicy {
  readonly text: string;
  /** What the policy says and the text cannot, a sentence each. */
  readonly losses: readonly string[];
}

type Writer = (policy: Policy, target: AbiName) => WrittenPolicy;

const writers: Readonly<Record<string, Writer>> = {
  toml: (policy) => ({ text: writeToml(policy), losses: [] }),
  json: (policy) => ({ text: writeJson(policy), losses: [] }),
  lxc: (policy, target) => {
    const { text, losses } = writeLxcProfile(policy, { target });
    const sections = (["files", "network", "limits", "environment", "hardening"] as const).filter(
      (one) => policy[one] !== undefined,
    );
    return {
      text,
      losses: [
        ...losses.map(({ syscall, message }) => (syscall === undefined ? message : `${syscall}: ${message}`)),
        ...sections.map((section) => `[${section}]: an LXC profile is about system calls only`),
      ],
    };
  },
};

/** The formats that policies can be written in. */
export const writtenFormats: readonly string[] = Object.keys(writers);

/**
 * Writes a policy in a format of `writtenFormats`, with the list of what is lost.
 * @throws TypeError for another format, and for a policy with errors
 */
export function writePolicy(policy: Policy, format: string, options: WritePolicyOptions = {}): WrittenPolicy {
  const writer = Object.hasOwn(writers, format) ? writers[format] : undefined;
  if (writer === undefined)
    throw new TypeError(
      `policies are written as ${writtenFormats.join(", ")}, not as ${JSON.stringify(format)}`,
    );
  requirePolicy(policy);
  if (options.target !== undefined) requireAbi(options.target);
  return writer(policy, options.target ?? hostAbi() ?? "x86_64");
}
