/** The policy as a JavaScript object of the same shape as the file: what the library's users write in code. */
import { type DocumentNode, type ParsedDocument, plainText } from "../policy/document.ts";
import { halfCharacter } from "./limits.ts";

/** The shape of a policy file; see the JSON form of any policy. Every key is checked when it is read. */
export interface PolicyDocument {
  readonly version: 1;
  readonly name?: string;
  readonly extends?: readonly string[];
  readonly expect?: string | readonly string[];
  readonly syscalls?: {
    readonly default?: string;
    readonly baseline?: string;
    readonly newer?: string;
    readonly abis?: readonly string[] | string;
    readonly "other-abis"?: string;
    readonly multiplexed?: "strict" | "open";
    readonly require?: string | readonly string[];
    readonly rules?: string | readonly string[];
  };
  readonly files?: { readonly read?: readonly string[]; readonly write?: readonly string[] };
  readonly network?: { readonly mode?: "off" | "host" | "ports"; readonly ports?: readonly number[] };
  readonly limits?: Readonly<Record<string, string | number>>;
  readonly environment?: {
    readonly keep?: readonly string[];
    readonly set?: Readonly<Record<string, string>>;
  };
  readonly hardening?: {
    readonly "new-code"?: "allow" | "deny";
    readonly exec?: "any" | "files";
    readonly "missing-layers"?: readonly string[];
  };
}

const deepestNesting = 64;
const halfText = "text with half a character (a lone surrogate)";

export function documentFromObject(value: unknown): ParsedDocument {
  const root = nodeOf(value, "policy", 0);
  if (root.kind === "table") return { root, diagnostics: [] };
  return {
    diagnostics: [
      { id: "not-a-policy", severity: "error", message: "a policy is text or an object: { version: 1, … }" },
    ],
  };
}

/** `path` names the value in messages, as code would: policy.syscalls.rules[2]. */
function nodeOf(value: unknown, path: string, depth: number): DocumentNode {
  if (depth > deepestNesting) return { kind: "other", what: "a value nested too deeply" };
  switch (typeof value) {
    case "string":
      if (halfCharacter(value) !== -1) return { kind: "other", what: halfText };
      return { kind: "string", value, text: plainText({ name: path, text: value }, value, 0) };
    case "boolean":
      return { kind: "boolean", value };
    case "bigint":
      return { kind: "integer", value };
    case "number":
      return Number.isSafeInteger(value)
        ? { kind: "integer", value: BigInt(value) }
        : { kind: "other", what: "a fraction" };
    case "object": {
      if (value === null) return { kind: "other", what: "null" };
      if (Array.isArray(value))
        return {
          kind: "array",
          items: value.map((item: unknown, i) => nodeOf(item, `${path}[${i}]`, depth + 1)),
        };
      const entries = new Map<string, { value: DocumentNode }>();
      for (const [key, item] of Object.entries(value)) {
        if (item === undefined) continue;
        const isWhole = halfCharacter(key) === -1;
        entries.set(key, {
          value: isWhole ? nodeOf(item, `${path}.${key}`, depth + 1) : { kind: "other", what: halfText },
        });
      }
      return { kind: "table", entries };
    }
    default:
      return { kind: "other", what: `a ${typeof value}` };
  }
}
