/**
 * Filters that were compiled and proved when the package was built: those of the built-in policies, in the shapes that
 * `callgate run` needs. Here is what such a file is and how it is read; `make-ready.ts` makes them.
 *
 * A file is used by the build alone that made it (its hash is over the policies, the compiler, the proof and all
 * tables), and only for the policy that lies in a file of the same build: the very object, to which nothing was added.
 * Its first line is the fingerprint of the rest, so that one that was damaged is as good as none.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { policyOfText } from "../policy/policy-text.ts";
import type { Policy } from "../policy/types.ts";
import type { AbiName } from "../syscalls/index.ts";
import type { FilterSet } from "./filter-set.ts";
import { fingerprint } from "./fingerprint.ts";
import { restOnFile } from "./lookups.ts";
import { packageRoot } from "./package-files.ts";
import type { FilterStep, KeyPatch } from "./plan.ts";

/** What the rules of other layers in the filter depend on; "filter" where there is no other layer. */
export type ReadyShape = "filter" | `${"off" | "host" | "ports"}-${"alone" | "shared"}`;

export const readyShapes: readonly ReadyShape[] = [
  "filter",
  ...(["off", "host", "ports"] as const).flatMap((mode): readonly ReadyShape[] => [
    `${mode}-alone`,
    `${mode}-shared`,
  ]),
];

/**
 * The shape that a policy needs; undefined where it asks for rules that no shape has.
 * @param isAlone as `FilterMaker` has it
 */
export function shapeOf(
  { network, hardening }: Policy,
  isAlone: boolean | undefined,
): ReadyShape | undefined {
  if (isAlone === undefined) return "filter";
  if (hardening?.newCode === "deny" || hardening?.exec === "files") return undefined;
  return `${network?.mode ?? "off"}-${isAlone ? "alone" : "shared"}`;
}

/** A filter step; bytes are base64. */
interface ReadyStep {
  readonly bytes: string;
  readonly patches: readonly KeyPatch[];
}

/** The first line of a policy's file; behind it is its `policyText`. */
interface ReadyPolicyHead {
  readonly build: string;
  readonly name: string;
}

interface ReadyFiltersFile {
  readonly build: string;
  readonly name: string;
  readonly target: AbiName;
  readonly shape: ReadyShape;
  readonly abis: readonly AbiName[];
  readonly filters: readonly ReadyStep[];
  readonly notifying: ReadyStep;
  readonly rows: string;
  readonly toldRules: string;
}

/** Which filters are meant. */
export interface ReadyKey {
  readonly build: string;
  readonly name: string;
  readonly target: AbiName;
  readonly shape: ReadyShape;
}

export function policyFileName(name: string): string {
  return `${name}.policy.json`;
}

export function filtersFileName({ name, target, shape }: ReadyKey): string {
  return `${name}.${target}.${shape}.json`;
}

export function policyFileText(build: string, name: string, policy: string): string {
  return sealed(`${JSON.stringify({ build, name } satisfies ReadyPolicyHead)}\n${policy}`);
}

/** @param set of a policy that asks nobody: it has no deciding filter */
export function filtersFileText({ build, name, target, shape }: ReadyKey, set: FilterSet): string {
  const { notifying, rows } = set.supervision(false);
  return sealed(
    JSON.stringify({
      build,
      name,
      target,
      shape,
      abis: set.abis,
      filters: set.filters.map(written),
      notifying: written(notifying),
      rows: base64(rows),
      toldRules: base64(set.toldRules()),
    } satisfies ReadyFiltersFile),
  );
}

/** With its fingerprint before it. */
export function sealed(text: string): string {
  return `${fingerprint(Buffer.from(text))}\n${text}`;
}

function written({ bytes, patches }: FilterStep): ReadyStep {
  return { bytes: base64(bytes), patches: patches ?? [] };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function fromBase64(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

/** A built-in policy as it was read when the package was built; undefined where this build has none of this name. */
export function readyPolicy(build: string, name: string): Policy | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) return undefined;
  const text = readReady(policyFileName(name));
  if (text === undefined) return undefined;
  const end = text.indexOf("\n");
  const head: ReadyPolicyHead = JSON.parse(text.slice(0, end));
  return head.build === build && head.name === name ? policyOfText(text.slice(end + 1)) : undefined;
}

/** The filters that are meant; undefined where this build has none of them. */
export function readyFilters(key: ReadyKey): FilterSet | undefined {
  const text = readReady(filtersFileName(key));
  if (text === undefined) return undefined;
  const file: ReadyFiltersFile = JSON.parse(text);
  const isMeant =
    file.build === key.build &&
    file.name === key.name &&
    file.target === key.target &&
    file.shape === key.shape;
  return isMeant ? filterSetOf(file) : undefined;
}

function filterSetOf({ abis, filters, notifying, rows, toldRules }: ReadyFiltersFile): FilterSet {
  return {
    abis,
    filters: filters.map((step) => stepOf("filter", step)),
    supervision: () => ({
      notifying: stepOf("notifyingFilter", notifying),
      deciding: undefined,
      rows: fromBase64(rows),
    }),
    toldRules: () => fromBase64(toldRules),
  };
}

function stepOf(kind: FilterStep["kind"], { bytes, patches }: ReadyStep): FilterStep {
  return { kind, bytes: fromBase64(bytes), patches };
}

/** What is sealed in a file of this package; undefined where it is not there, or not whole. */
function readReady(name: string): string | undefined {
  const path = join(packageRoot(), "dist", "cli", "ready", name);
  restOnFile(path);
  try {
    const bytes = readFileSync(path);
    const end = bytes.indexOf("\n");
    const content = bytes.subarray(end + 1);
    return bytes.toString("latin1", 0, end) === fingerprint(content) ? content.toString() : undefined;
  } catch {
    return undefined;
  }
}
