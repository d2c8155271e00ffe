// Debian packages: lxc, busybox-static
// LXC's profiles as we read them, against the filter that the real LXC makes of the same text: for each profile,
// either both refuse it, or the live filter is proved equal to what we say that it means, and to what comes of it as
// TOML and as a profile again.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readPolicy } from "../../src/formats/index.ts";
import { readLxcProfile } from "../../src/formats/lxc-profile/read.ts";
import { writePolicy } from "../../src/formats/write.ts";
import { resolveSound } from "../../src/policy/resolve.ts";
import type { Policy } from "../../src/policy/types.ts";
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
        const isLive = (one: Policy, what: string): void => {
          const verdict = compareStackMembers(filters, [{ resolved: resolveSound(one) }]);
          assert.equal(
            verdict.verdict,
            "equal",
            `${what}: ${JSON.stringify(verdict, (_, value) =>
              typeof value === "bigint" ? `0x${value.toString(16)}` : value,
            )}`,
          );
        };
        isLive(policy, "as it is read");
        // As TOML and back it is the same again; of version 1 it is said what the format of version 2 cannot say.
        const toml = readPolicy(writePolicy(policy, "toml").text).policy;
        assert.ok(toml !== undefined);
        isLive(toml, "as TOML");
        const back = writePolicy(toml, "lxc");
        if (text.startsWith("1")) {
          assert.match(back.losses.join("\n"), /rules are for .* as well/);
          return;
        }
        assert.deepEqual(back.losses, []);
        const again = readLxcProfile({ name: "profile", text: back.text }, { target: hostAbi() ?? "x86_64" });
        assert.ok(again.policy !== undefined, back.text);
        isLive(again.policy, back.text);
      } finally {
        run("lxc-stop", ["-P", container.lxcpath, "-n", container.name, "-k"]);
      }
    });
  }
});
