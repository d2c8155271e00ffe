/** A baseline that the tables do not reach. */
import type { Span } from "../../diagnostics/index.ts";
import { compareVersions, formatVersion, newestVersion } from "../../syscalls/index.ts";
import { at, fixOf } from "../edits.ts";
import type { Lint } from "../lint.ts";
import type { Subject } from "../subject.ts";

export const baselineTooNew: Lint = {
  documentation: {
    id: "baseline-too-new",
    severity: "warning",
    what: "The baseline is newer than the newest Linux whose calls this callgate knows.",
    why: "Calls that came in between have no name here: they count as unknown numbers and get what `newer` says, not what the baseline promises. A newer callgate knows them.",
    example: 'version = 1\n[syscalls]\nbaseline = "99.0"\nrules = "allow @basic-io"\n',
    instead: 'version = 1\n[syscalls]\nbaseline = "6.1"\nrules = "allow @basic-io"\n',
  },
  check: (subject) => {
    const { baseline } = subject.policy.syscalls;
    if (baseline === undefined || compareVersions({ ...baseline, patch: 0 }, newestVersion) <= 0) return [];
    const newest = formatVersion(newestVersion);
    const place = placeOfBaseline(subject);
    return [
      {
        message: `the baseline is Linux ${formatVersion(baseline)}, and the calls known here end with ${newest}`,
        label: `write "${newest}", or get a newer callgate`,
        ...at(place),
        // No call that has a name changes its decision: all of them are older than both.
        ...fixOf(`write "${newest}"`, place === undefined ? undefined : { span: place, text: `"${newest}"` }),
      },
    ];
  },
};

/** The policy keeps no place of its scalars: the text has one line that sets it. */
function placeOfBaseline({ source }: Subject): Span | undefined {
  const found =
    source === undefined
      ? null
      : /^[ \t]*"?baseline"?[ \t]*[=:][ \t]*("[^"\n]*"|'[^'\n]*')/m.exec(source.text);
  if (found === null || source === undefined) return undefined;
  const end = found.index + found[0].length;
  return { source, start: end - (found[1]?.length ?? 0), end };
}
