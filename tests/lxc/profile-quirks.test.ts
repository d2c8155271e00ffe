// Debian packages: lxc, busybox-static
// LXC's profiles as we read them, against the filter that the real LXC makes of the same text: for each profile,
// either both refuse it, or the live filter is proved equal to what we say that it means.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readLxcProfile } from "../../src/formats/lxc-profile/read.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import { compareStackMembers } from "../../src/proof/index.ts";
import { readProcessFilters } from "../../src/sandbox/process-filters.ts";
import { hostAbi } from "../../src/syscalls/index.ts";
import { createContainer, noContainers, run } from "./containers.ts";
import { profiles } from "./profiles.ts";

describe("LXC profiles, ours and the real one", { skip: noContainers }, () => {
  const container = createContainer();
  const file = join(container.lxcpath, "profile");
  container.configure(`${container.original}\nlxc.seccomp.profile = ${file}\n`);
  for (const { text, expect } of profiles) {
    test(JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text), () => {
      writeFileSync(file, text);
      const { policy, diagnostics } = readLxcProfile(
        { name: "profile", text },
        { target: hostAbi() ?? "x86_64" },
      );
      assert.deepEqual(
        diagnostics.map((one) => one.id),
        expect,
      );
      const started = container.start();
      try {
        const said = diagnostics.map((one) => one.message).join("; ");
        assert.equal(started.status === 0, policy !== undefined, `LXC ${started.status}, callgate: ${said}`);
        if (policy === undefined) return;
        const live = readProcessFilters(container.pid());
        assert.ok("filters" in live, JSON.stringify(live));
        const filters = live.filters.map((filter) => ({ filter }));
        const verdict = compareStackMembers(filters, [{ resolved: resolveSound(policy) }]);
        assert.equal(
          verdict.verdict,
          "equal",
          JSON.stringify(verdict, (_, value) =>
            typeof value === "bigint" ? `0x${value.toString(16)}` : value,
          ),
        );
      } finally {
        run("lxc-stop", ["-P", container.lxcpath, "-n", container.name, "-k"]);
      }
    });
  }
});
