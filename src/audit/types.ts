/** What is known of a hole in the kernel, as far as a policy can stand before it. */
import type { AbiName } from "../syscalls/index.ts";

/** Something that must be possible. */
export type Need =
  /** A call, as a selector of the policy language: `socket(domain == AF_ALG)`. */
  | { readonly kind: "call"; readonly selector: string }
  | { readonly kind: "capability"; readonly name: string }
  /** Calls of an ABI. */
  | { readonly kind: "abi"; readonly name: AbiName }
  /** A program that is started gets its owner's rights. */
  | { readonly kind: "set-user-id" }
  /** A file can be opened; for writing, where reading it does no harm. */
  | { readonly kind: "file"; readonly path: string; readonly write: boolean }
  | { readonly kind: "any"; readonly of: readonly Need[] }
  /** One of `sharedNeeds`. */
  | { readonly kind: "shared"; readonly name: string };

export interface Cve {
  /** `CVE-2022-0847` */
  readonly id: string;
  readonly summary: string;
  /** What it gives an attacker; `filter-bypass` is a hole in another sandbox, not in the kernel. */
  readonly kind: "privilege" | "dos" | "leak" | "escape" | "filter-bypass";
  /** `high`: the needed calls are the hole's own interface; `medium`: another way to it is thinkable. */
  readonly confidence: "high" | "medium";
  /** Where it was published. */
  readonly source: string;
  /** The first release of Linux without it, where that is certain. */
  readonly fixedIn?: string;
  readonly affected?: readonly string[];
  readonly note?: string;
  /** Ways to use it; each needs everything that it lists. */
  readonly needs: readonly (readonly Need[])[];
}
