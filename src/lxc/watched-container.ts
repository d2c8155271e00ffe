/** One container that is watched: what it was refused since its start, and why. */
import { release } from "node:os";
import { type Denial, decodeCall, explainDenial, type RawDenial } from "../denials/index.ts";
import type { Policy } from "../policy/types.ts";
import { hostAbi } from "../syscalls/index.ts";
import { readConfig } from "./config.ts";
import type { Container } from "./container.ts";
import type { DenialCounts } from "./denials-file.ts";
import { protectionOf } from "./protection.ts";
import type { WatchEvent } from "./watch-records.ts";

/** A kind of call that was refused; without an explanation where the statements have changed since the start. */
export interface WatchedDenial {
  readonly raw: RawDenial;
  readonly text: string;
  readonly denial: Denial | undefined;
}

/** What was seen since a start. There are never more kinds than the native program has room for. */
interface Start {
  readonly monitor: number;
  readonly policy: Policy | undefined;
  readonly kinds: Map<number, WatchedDenial>;
  lost: number;
}

export class WatchedContainer {
  readonly container: Container;
  #start: Start | undefined;

  constructor(container: Container) {
    this.container = container;
  }

  /** The statements that explain; those that answer are the start's own. */
  get policy(): Policy | undefined {
    return this.#start?.policy;
  }

  /** Takes an event in; the denial where it is a new kind. */
  take(event: Exclude<WatchEvent, { readonly kind: "listening" }>): WatchedDenial | undefined {
    const start = this.#startOf(event.monitor);
    switch (event.kind) {
      case "denied": {
        const raw: RawDenial = { ...event.seen, count: event.count };
        const native = hostAbi() ?? "x86_64";
        const found: WatchedDenial = {
          raw,
          text: decodeCall(raw).text,
          denial: start.policy === undefined ? undefined : explainDenial(start.policy, raw, native),
        };
        start.kinds.set(event.key, found);
        return found;
      }
      case "counted": {
        const known = start.kinds.get(event.key);
        if (known !== undefined) start.kinds.set(event.key, withCount(known, event.count));
        return undefined;
      }
      case "lost":
        start.lost = event.count;
        return undefined;
      default:
        return undefined;
    }
  }

  get denials(): readonly WatchedDenial[] {
    return [...(this.#start?.kinds.values() ?? [])];
  }

  get counts(): DenialCounts {
    const byCall = new Map<string, number>();
    for (const { raw } of this.denials) {
      const name = decodeCall(raw).name ?? `#${raw.nr}`;
      byCall.set(name, (byCall.get(name) ?? 0) + raw.count);
    }
    const lost = this.#start?.lost ?? 0;
    if (lost > 0) byCall.set("others", lost);
    const calls = [...byCall]
      .map(([syscall, count]) => ({ syscall, count }))
      .sort((a, b) => b.count - a.count);
    return { total: calls.reduce((sum, { count }) => sum + count, 0), calls };
  }

  #startOf(monitor: number): Start {
    if (this.#start?.monitor === monitor) return this.#start;
    const { protection } = protectionOf(readConfig(this.container.configFile), release());
    this.#start = { monitor, policy: protection?.policy, kinds: new Map(), lost: 0 };
    return this.#start;
  }
}

function withCount(known: WatchedDenial, count: number): WatchedDenial {
  return {
    ...known,
    raw: { ...known.raw, count },
    denial: known.denial === undefined ? undefined : { ...known.denial, count },
  };
}
