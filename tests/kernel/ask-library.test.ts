// onAsk: questions answered by a caller of the library, and what a program can try meanwhile.
// Debian packages: gcc libc6-dev
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { exec, type OnAsk, prepare, type Question, spawn } from "../../src/index.ts";
import { askingPolicy, askingProgram } from "./asking.ts";
import { isRoot, ordinaryUser } from "./native.ts";

const timeout = 120_000;
const filterOnly = prepare(askingPolicy, { filename: "own.toml" });
const program = askingProgram();
const whole = prepare(`${askingPolicy}[network]\nmode = "host"\n[files]\nread = ["${program}"]\n`, {
  filename: "own.toml",
});

const run = (args: readonly string[], onAsk: OnAsk, policy = filterOnly): ReturnType<typeof exec> =>
  exec(program, args, { policy, onAsk, timeout });
const never: OnAsk = () => new Promise(() => {});

/** Child processes of a process, with their names. */
function childrenOf(pid: number): readonly { readonly pid: number; readonly name: string }[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .filter((one) => one !== "")
    .flatMap((one) => {
      try {
        return [{ pid: Number(one), name: readFileSync(`/proc/${one}/comm`, "utf8").trim() }];
      } catch {
        return []; // gone meanwhile
      }
    });
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries += 1) {
    assert.ok(tries < 1200, "waited for a minute");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("answers", () => {
  for (const [name, policy] of Object.entries({ filterOnly, whole })) {
    for (const person of isRoot ? [{}, ordinaryUser] : [{}]) {
      test(`once, run and deny, ${name}, ${JSON.stringify(person)}`, { timeout }, async () => {
        const asked: Question[] = [];
        const answering =
          (answer: "once" | "run" | "deny"): OnAsk =>
          async (question) => {
            asked.push(question);
            return answer;
          };
        const options = { policy, timeout, ...person };
        const results = [];
        for (const answer of ["once", "run", "deny"] as const) {
          asked.length = 0;
          const { stdout } = await exec(program, ["twice"], { ...options, onAsk: answering(answer) });
          results.push([answer, stdout, asked.length]);
        }
        assert.deepEqual(results, [
          ["once", "results 0 0\n", 2],
          ["run", "results 0 0\n", 1],
          ["deny", "results -1 -1\n", 1],
        ]);
        const [question] = asked;
        assert.equal(
          question?.text,
          "socket(domain = AF_NETLINK, type = SOCK_RAW, protocol = NETLINK_ROUTE)",
        );
        assert.deepEqual(
          [question?.rule?.file, question?.rule?.line, question?.rule?.reason, question?.rule?.text],
          ["own.toml", 7, "netlink", "ask socket(domain == AF_NETLINK)"],
        );
        assert.match(question?.program ?? "", /asking/);
        assert.equal(question?.args[0], 16n);
      });
    }
  }

  test("another address is no other question", { timeout }, async () => {
    const reading = prepare(
      'version = 1\nextends = ["default"]\n[syscalls]\nrules = "ask ioctl(request == FIONREAD)"\n',
    );
    for (const [answer, results] of [
      ["run", "results 0 0 0\n"],
      ["deny", "results 0 -1 -1\n"],
    ] as const) {
      let asked = 0;
      const answering: OnAsk = async () => {
        asked += 1;
        return answer;
      };
      assert.equal((await run(["ioctls"], answering, reading)).stdout, results);
      assert.equal(asked, 1);
    }
  });

  test("nor is it where another argument says that it is an address; a number is", { timeout }, async () => {
    const reading = prepare(
      'version = 1\nextends = ["default"]\n[syscalls]\nrules = "ask prctl(option in {PR_SET_NAME, PR_SET_TIMERSLACK}), keyctl"\n',
    );
    for (const [answer, results] of [
      ["run", "results 0 0 0 0\n"],
      ["deny", "results -1 -1 -1 -1\n"],
    ] as const) {
      const asked: string[] = [];
      const answering: OnAsk = async ({ text }) => {
        asked.push(text.replace(/0x[0-9a-f]{6,}/g, "…"));
        return answer;
      };
      assert.equal((await run(["addresses"], answering, reading)).stdout, results);
      assert.deepEqual(asked, [
        "prctl(option = PR_SET_NAME, arg2 = …, arg3 = 0, arg4 = 0, arg5 = 0)",
        "prctl(option = PR_SET_TIMERSLACK, arg2 = 0xc350, arg3 = 0, arg4 = 0, arg5 = 0)",
        "prctl(option = PR_SET_TIMERSLACK, arg2 = 0xea60, arg3 = 0, arg4 = 0, arg5 = 0)",
        ...[1, 2, 2].map(
          (key, index) =>
            `keyctl(operation = KEYCTL_DESCRIBE, arg2 = ${key}, arg3 = …, arg4 = ${[64, 8, 16][index]}, arg5 = 0)`,
        ),
      ]);
    }
  });

  test("a promise may take its time, and many are open at once", { timeout }, async () => {
    let open = 0;
    let most = 0;
    const { stdout } = await run(["threads", "8", "8"], async () => {
      open += 1;
      most = Math.max(most, open);
      await until(() => most === 8);
      open -= 1;
      return "run";
    });
    assert.equal(most, 8);
    assert.match(stdout, /made 8\n/);
  });

  test("one that throws, rejects or answers nonsense refuses, and says so", { timeout }, async () => {
    const warnings: string[] = [];
    const note = ({ name, message }: Error): void => {
      if (name === "CallgateWarning") warnings.push(message);
    };
    process.on("warning", note);
    const wrong: readonly OnAsk[] = [
      () => {
        throw new Error("no idea");
      },
      () => Promise.reject(new Error("no idea")),
      (() => "perhaps") as unknown as OnAsk,
    ];
    for (const onAsk of wrong) assert.equal((await run(["one"], onAsk)).stdout, "result -1\n");
    process.off("warning", note);
    assert.equal(warnings.length, 3, warnings.join("\n"));
  });

  test("without a callback a question is a refusal, and a denial", { timeout }, async () => {
    const { stdout, denials } = await exec(program, ["one"], { policy: filterOnly, denials: true, timeout });
    assert.equal(stdout, "result -1\n");
    assert.deepEqual(
      denials?.map(({ syscall, errno, asked }) => [syscall, errno, asked]),
      [["socket", "EPERM", true]],
    );
  });

  test("a refused question is a denial with its count", { timeout }, async () => {
    const { denials } = await exec(program, ["twice"], {
      policy: filterOnly,
      denials: true,
      timeout,
      onAsk: async () => "deny",
    });
    assert.deepEqual(
      denials?.map(({ syscall, count }) => [syscall, count]),
      [["socket", 2]],
    );
  });

  test("usage", () => {
    assert.throws(
      () => spawn("true", [], { policy: filterOnly, onAsk: "run" as unknown as OnAsk }),
      TypeError,
    );
  });
});

describe("while a question is open", () => {
  test("the program can be ended, and nothing hangs", { timeout }, async () => {
    const child = spawn(program, ["one"], {
      policy: filterOnly,
      stdio: "ignore",
      onAsk: (_, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve("deny"));
          child.kill("SIGTERM");
        }),
    });
    assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
  });

  test("who is killed while waiting is asked for no more", { timeout }, async () => {
    let withdrawn = 0;
    const child = spawn(program, ["killed"], {
      policy: filterOnly,
      stdio: ["pipe", "pipe", "ignore"],
      onAsk: (question, signal) => {
        signal.addEventListener("abort", () => {
          withdrawn += 1;
          child.stdin.write("\n");
        });
        child.stdin.write("\n");
        return never(question, signal);
      },
    });
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.equal(said, "ended by 9\n");
    assert.equal(withdrawn, 1);
  });

  test("signals interrupt the call, or it comes again and is asked about once", { timeout }, async () => {
    let asked = 0;
    const late: OnAsk = async () => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return "run";
    };
    assert.equal((await run(["signals", "1"], late)).stdout, "result 0 ticks some\n");
    assert.equal(asked, 1);
    assert.equal((await run(["signals", "0"], never)).stdout, "result -4 ticks some\n");
  });

  test("what the program changes in its memory changes nothing", { timeout }, async () => {
    const slow: OnAsk = async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return "once";
    };
    for (let round = 0; round < 5; round += 1)
      assert.equal((await run(["mutate"], slow)).stdout, "made netlink\n");
  });

  test("filters of the program's own neither answer nor listen; they can only refuse", {
    timeout,
  }, async () => {
    let asked = 0;
    const { stdout } = await run(["filters"], async () => {
      asked += 1;
      return "deny";
    });
    // Its listener is EBUSY, our refusal holds over its ALLOW, and its own refusal over a question.
    assert.equal(stdout, "0 -16 -1 0 -71\n");
    assert.equal(asked, 1);
  });

  test("thousands of threads ask the same, and one answer is for all", { timeout }, async () => {
    let asked = 0;
    const { stdout } = await run(["threads", "3000", "1"], async () => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return "run";
    });
    const [, made, allowed, refused] = /made (\d+)\nallowed (\d+) refused (\d+)\n/.exec(stdout) ?? [];
    assert.deepEqual([allowed, refused], [made, "0"]);
    assert.equal(asked, 1);
  });

  test("thousands of different questions, and nobody answers: the end refuses them", {
    timeout,
  }, async () => {
    const child = spawn(program, ["threads", "3000", "3000"], {
      policy: filterOnly,
      stdio: "ignore",
      onAsk: () => {
        asked += 1;
        return new Promise(() => {});
      },
    });
    let asked = 0;
    await until(() => asked >= 1000);
    child.kill("SIGKILL");
    assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"]);
    assert.ok(asked <= 1024);
  });

  for (const load of ["one", "load"]) {
    test(`its supervisor is killed: ${load}`, { timeout }, async () => {
      let isAsked = false;
      const child = spawn(program, [load], {
        policy: filterOnly,
        stdio: ["ignore", "pipe", "ignore"],
        onAsk: () => {
          isAsked = true;
          return new Promise(() => {});
        },
      });
      let said = "";
      child.stdout.on("data", (text) => {
        said += text;
      });
      await until(() => isAsked);
      const outer = child.pid ?? 0;
      for (const { pid, name } of childrenOf(outer)) if (name === "launcher") process.kill(pid, "SIGKILL");
      const [, signal] = await once(child, "exit");
      // One that has nothing left to do may have ended before it was ended. Whatever it has seen: no socket.
      if (load === "load") assert.equal(signal, "SIGKILL");
      assert.doesNotMatch(said, /result 0/);
    });
  }
});
