/**
 * One policy file before it is joined with what it extends: every scalar may be absent. `joinLayers` makes a
 * policy of a file and its parents.
 */
import type { KernelVersion } from "../syscalls/index.ts";
import { deny } from "./action.ts";
import type { AbiSelection, Action, Limits, Policy, Rule } from "./types.ts";

export interface PolicyLayer {
  readonly name?: string;
  readonly expect?: readonly Rule[];
  readonly default?: Action;
  readonly baseline?: KernelVersion;
  readonly newer?: Action;
  readonly abis: AbiSelection;
  readonly otherAbis?: Action;
  readonly multiplexed?: "strict" | "open";
  readonly require: readonly Rule[];
  readonly rules: readonly Rule[];
  readonly files?: { readonly read: readonly string[]; readonly write: readonly string[] };
  readonly networkMode?: "off" | "host" | "ports";
  readonly ports: readonly number[];
  readonly limits: Limits;
  readonly environment?: { readonly keep: readonly string[]; readonly set: Readonly<Record<string, string>> };
  readonly newCode?: "allow" | "deny";
  readonly exec?: "any" | "files";
  readonly missingLayers: readonly string[];
}

export const emptyLayer: PolicyLayer = {
  abis: [],
  require: [],
  rules: [],
  ports: [],
  limits: {},
  missingLayers: [],
};

/** The first layer (the child) and its parents, depth first: scalars from the first that has one, lists together. */
export function joinLayers(layers: readonly PolicyLayer[]): PolicyLayer {
  const first = <Key extends keyof PolicyLayer>(key: Key): Pick<PolicyLayer, Key> | object => {
    const layer = layers.find((one) => one[key] !== undefined);
    return layer === undefined ? {} : { [key]: layer[key] };
  };
  // What a parent expects of itself its child may have changed on purpose: only the child's own expectations count.
  const expect = layers[0]?.expect;
  const withFiles = layers.flatMap((layer) => (layer.files === undefined ? [] : [layer.files]));
  const withEnvironment = layers.flatMap((layer) =>
    layer.environment === undefined ? [] : [layer.environment],
  );
  return {
    ...first("name"),
    ...first("default"),
    ...first("baseline"),
    ...first("newer"),
    ...first("otherAbis"),
    ...first("multiplexed"),
    ...first("networkMode"),
    ...first("newCode"),
    ...first("exec"),
    ...(expect === undefined ? {} : { expect }),
    abis: union(layers.map((layer) => layer.abis)),
    require: layers.flatMap((layer) => layer.require),
    rules: layers.flatMap((layer) => layer.rules),
    ports: union(layers.map((layer) => layer.ports)),
    limits: Object.assign({}, ...layers.map((layer) => layer.limits).reverse()),
    missingLayers: union(layers.map((layer) => layer.missingLayers)),
    ...(withFiles.length === 0
      ? {}
      : {
          files: {
            read: union(withFiles.map((one) => one.read)),
            write: union(withFiles.map((one) => one.write)),
          },
        }),
    ...(withEnvironment.length === 0
      ? {}
      : {
          environment: {
            keep: union(withEnvironment.map((one) => one.keep)),
            // A variable may have any name, __proto__ too.
            set: Object.fromEntries(withEnvironment.toReversed().flatMap((one) => Object.entries(one.set))),
          },
        }),
  };
}

function union<Item>(lists: readonly (readonly Item[])[]): readonly Item[] {
  return [...new Set(lists.flat())];
}

/** The policy that a joined layer means, with what holds where nothing is said. */
export function policyOfLayer(layer: PolicyLayer): Policy {
  return {
    version: 1,
    ...(layer.name === undefined ? {} : { name: layer.name }),
    ...(layer.expect === undefined ? {} : { expect: layer.expect }),
    syscalls: {
      default: layer.default ?? deny,
      ...(layer.baseline === undefined ? {} : { baseline: layer.baseline }),
      newer: layer.newer ?? { kind: "errno", errno: "ENOSYS" },
      abis: layer.abis.length === 0 ? ["native"] : layer.abis,
      otherAbis: layer.otherAbis ?? { kind: "kill" },
      multiplexed: layer.multiplexed ?? "strict",
      require: layer.require,
      rules: layer.rules,
    },
    ...(layer.files === undefined ? {} : { files: layer.files }),
    ...(layer.networkMode === undefined && layer.ports.length === 0
      ? {}
      : { network: { mode: layer.networkMode ?? "ports", ports: layer.ports } }),
    ...(Object.keys(layer.limits).length === 0 ? {} : { limits: layer.limits }),
    ...(layer.environment === undefined ? {} : { environment: layer.environment }),
    ...(layer.newCode === undefined && layer.exec === undefined && layer.missingLayers.length === 0
      ? {}
      : {
          hardening: {
            newCode: layer.newCode ?? "allow",
            exec: layer.exec ?? "any",
            missingLayers: layer.missingLayers,
          },
        }),
  };
}

/** Whether a default lets calls through, so that its meaning would change with every table of calls. */
export function needsBaseline(layer: PolicyLayer): boolean {
  const action = layer.default ?? deny;
  return layer.baseline === undefined && (action.kind === "allow" || action.kind === "log");
}
