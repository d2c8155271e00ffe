// `launcher spawn DESCRIPTOR`, called as the library calls it and as it should not be.
// Debian packages: coreutils dash
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, test } from "node:test";
import { encodePlan, type PlanStep } from "../../src/sandbox/plan.ts";
import { readReport } from "../../src/sandbox/report.ts";
import { launcherPath, refuseFilter, runProgram, shellPlan } from "./native.ts";

const closing: PlanStep = { kind: "closeDescriptors", keep: [3, 4] };
const listing = "for d in 0 1 2 3 4 5 6 7 8; do [ -e /proc/$$/fd/$d ] && printf '%s ' $d; done; :";

function launch(descriptor: number): { readonly child: ChildProcess; readonly socket: Socket } {
  const stdio = [
    "ignore",
    "pipe",
    "pipe",
    ...Array<"ignore" | "pipe">(descriptor - 3).fill("ignore"),
    "pipe",
  ] as const;
  const child = spawn(launcherPath, ["spawn", String(descriptor)], { stdio: [...stdio] });
  const socket: unknown = [...child.stdio][descriptor];
  assert.ok(socket instanceof Socket);
  return { child, socket };
}

async function all(stream: NodeJS.ReadableStream | null): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe("launcher spawn", () => {
  for (const descriptor of [3, 4, 7])
    test(`the program does not have the socket, on descriptor ${descriptor}, whatever the plan keeps`, async () => {
      for (const steps of [[], [closing]]) {
        const { child, socket } = launch(descriptor);
        socket.end(encodePlan(shellPlan(steps, listing)));
        const [report, output] = await Promise.all([all(socket), all(child.stdout)]);
        assert.deepEqual(readReport(report), { kind: "started" });
        assert.equal(output.toString(), "0 1 2 ");
      }
    });

  test("a bad plan is reported as data; nothing is written where the program writes", async () => {
    const { child, socket } = launch(3);
    socket.end("nonsense, and long enough to be a header of a plan");
    const closed = once(child, "exit");
    const [report, stderr] = await Promise.all([all(socket), all(child.stderr)]);
    const message = "the plan is not valid, nothing was started: it does not begin as a plan does";
    assert.deepEqual(readReport(report), { kind: "failed", failure: { step: "plan", errno: 0, message } });
    assert.equal(stderr.toString(), "");
    assert.deepEqual(await closed, [125, null]);
  });

  test("a caller who is gone does not stop the program", async () => {
    const { child, socket } = launch(3);
    socket.end(encodePlan(shellPlan([], "sleep 0.05; echo works")), () => socket.destroy());
    assert.equal((await all(child.stdout)).toString(), "works\n");
  });

  test("a failed step under a filter is still said", async () => {
    const { child, socket } = launch(3);
    const steps: readonly PlanStep[] = [
      { kind: "noNewPrivileges" },
      { kind: "filter", bytes: refuseFilter(process.arch === "arm64" ? 221 : 59, 77) },
    ];
    socket.end(encodePlan(shellPlan(steps, "true")));
    const closed = once(child, "exit");
    const report = readReport(await all(socket));
    assert.ok(report.kind === "failed");
    assert.deepEqual([report.failure.step, report.failure.errno], ["execute", 77]);
    assert.deepEqual(await closed, [126, null]);
  });

  for (const descriptor of ["", "x", "3x", "-3", " 3", "0", "2", "1048576", "99999999999999999999"])
    test(`descriptor ${JSON.stringify(descriptor)} is refused`, () => {
      const result = runProgram(launcherPath, { args: ["spawn", descriptor] });
      assert.equal(result.stderr, "callgate: `launcher spawn` takes the number of a descriptor above 2\n");
      assert.equal(result.status, 125);
    });

  test("a descriptor that is not open is refused", () => {
    const result = runProgram(launcherPath, { args: ["spawn", "200"] });
    assert.match(result.stderr, /^callgate: set-up step "read the plan" failed: fcntl.*EBADF/);
    assert.equal(result.status, 125);
  });
});
