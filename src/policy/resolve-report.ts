/** The problems of a policy's names, gathered over all ABIs and told once each. */
import { type Diagnostic, listWords, type Span } from "../diagnostics/index.ts";
import type { Problem } from "./resolve-value.ts";
import type { Selector } from "./types.ts";

/** Findings after these go without advice, which can take a search through thousands of names. */
const mostLabels = 200;

/**
 * Collects problems over all the calls that a selector means, on all ABIs: what goes wrong everywhere is an
 * error, what goes wrong in some places a warning, since the strictest possible action holds there.
 */
export class Report {
  readonly #findings = new Map<
    string,
    { readonly problem: Problem; readonly selector: Selector; readonly calls: Set<string> }
  >();
  readonly #placements = new Map<Selector, Set<string>>();
  readonly #numbers = new Map<Selector, number>();

  /** A selector's condition is being settled for a call; one that is also behind a multiplexer counts once. */
  placed(selector: Selector, call: string): void {
    const calls = this.#placements.get(selector) ?? new Set();
    this.#placements.set(selector, calls.add(call));
  }

  add(selector: Selector, call: string, problem: Problem): void {
    const key = `${problem.id} ${this.#placeOf(problem.span ?? selector.span, selector)} ${problem.always ? problem.message : ""}`;
    const found = this.#findings.get(key) ?? { problem, selector, calls: new Set() };
    found.calls.add(call);
    this.#findings.set(key, found);
  }

  diagnostics(): readonly Diagnostic[] {
    return [...this.#findings.values()].map(({ problem, selector, calls }, index) => {
      const span = problem.span ?? selector.span;
      const label = index < mostLabels ? problem.label : undefined;
      const rest = { ...(span === undefined ? {} : { span }), ...(label === undefined ? {} : { label }) };
      const { id, severity, consequence = "the strictest action that is possible holds" } = problem;
      const everywhere = problem.always || calls.size >= (this.#placements.get(selector)?.size ?? 0);
      if (severity === undefined && everywhere)
        return { id, severity: "error", message: problem.message, ...rest };
      const where = consequence === "" ? "" : `; for ${listWords([...calls], "and")} ${consequence}`;
      return { id, severity: severity ?? "warning", message: `${problem.message}${where}`, ...rest };
    });
  }

  /** Rules that were made as values have no place: each selector is one then. */
  #placeOf(span: Span | undefined, selector: Selector): string {
    if (span !== undefined) return `${span.source.name}:${span.start}-${span.end}`;
    const number = this.#numbers.get(selector) ?? this.#numbers.size;
    this.#numbers.set(selector, number);
    return `-${number}`;
  }
}
