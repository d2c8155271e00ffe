/** A plan in words, a step a line, in the order in which the launcher carries them out. */
import { sanitise } from "../diagnostics/index.ts";
import type { Policy } from "../policy/types.ts";
import type { Plan, PlanStep, PlanString } from "./plan.ts";

export function describePlan(plan: Plan, policy: Policy): string {
  return plan.steps.map((step) => `${describeStep(step, policy)}\n`).join("");
}

function text(value: PlanString): string {
  return sanitise(typeof value === "string" ? value : Buffer.from(value).toString("utf8"));
}

/** As a shell would need it: quoted where it is more than a plain word. */
function quoted(value: PlanString): string {
  const shown = text(value);
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

function describeStep(step: PlanStep, policy: Policy): string {
  switch (step.kind) {
    case "environment": {
      const kept = step.keep === "all" ? "everything" : step.keep.join(", ") || "nothing";
      const set = Object.keys(step.set);
      return `environment        keep ${kept}${set.length === 0 ? "" : `; set ${set.join(", ")}`}`;
    }
    case "workingDirectory":
      return `working directory  ${text(step.path)}`;
    case "terminal":
      return "terminal           a session of its own";
    case "noNewPrivileges":
      return "no new privileges  set-user-id programs give no rights";
    case "closeDescriptors":
      return `descriptors        0, 1, 2${step.keep.map((one) => `, ${one}`).join("")} stay open; all others are closed`;
    case "signals":
      return "signals            default dispositions, none blocked; what nohup or a shell ignores stays ignored";
    case "filter": {
      const key = (step.patches?.length ?? 0) > 0 ? "; execve passes once, by the launch key" : "";
      return (
        `filter             ${step.bytes.length / 8} instructions, proved equal to the policy ${policy.name ?? ""}`.trimEnd() +
        key
      );
    }
    case "execute":
      return `execute            ${text(step.path)}: ${step.arguments.map(quoted).join(" ")}`;
  }
}
