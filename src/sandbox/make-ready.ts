/** Makes the files of `ready-files.ts`, when the package is built: by the code that compiles and proves everywhere else. */
import { builtinPolicies } from "../formats/index.ts";
import { loadPolicy } from "../formats/load.ts";
import { policyText } from "../policy/policy-text.ts";
import type { Policy } from "../policy/types.ts";
import { compiledFilters } from "./compiled-filters.ts";
import {
  filtersFileName,
  filtersFileText,
  policyFileName,
  policyFileText,
  type ReadyKey,
  type ReadyShape,
  readyShapes,
} from "./ready-files.ts";

/** The machines that the launcher exists for. */
const targets = ["x86_64", "aarch64"] as const;

/**
 * Every file by its name. The same build makes the same bytes.
 * @param build the hash of the command that is to use them
 */
export function readyFileTexts(build: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const name of builtinPolicies()) {
    const policy = builtinPolicy(name);
    files.set(policyFileName(name), policyFileText(build, name, policyText(policy)));
    for (const target of targets) {
      for (const shape of readyShapes) {
        const key: ReadyKey = { build, name, target, shape };
        const set = compiledFilters(policyOfShape(policy, shape), aloneIn(shape), target);
        files.set(filtersFileName(key), filtersFileText(key, set));
      }
    }
  }
  return files;
}

function builtinPolicy(name: string): Policy {
  const { policy } = loadPolicy(name);
  if (policy === undefined) throw new Error(`the built-in policy ${name} has errors`);
  return policy;
}

/** A policy that needs filters of this shape. */
export function policyOfShape(policy: Policy, shape: ReadyShape): Policy {
  switch (shape) {
    case "off-alone":
    case "off-shared":
      return { ...policy, network: { mode: "off", ports: [] } };
    case "host-alone":
    case "host-shared":
      return { ...policy, network: { mode: "host", ports: [] } };
    case "ports-alone":
    case "ports-shared":
      return { ...policy, network: { mode: "ports", ports: [] } };
    case "filter":
      return policy;
  }
}

/** As `FilterMaker` has it. */
export function aloneIn(shape: ReadyShape): boolean | undefined {
  return shape === "filter" ? undefined : shape.endsWith("-alone");
}
