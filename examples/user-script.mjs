// Run a script that a user has sent: with an input, a time limit, and no network.
// Debian packages: python3.
import { exec, prepare } from "callgate";

const plan = prepare({
  version: 1,
  extends: ["default"],
  syscalls: { rules: "deny socket(domain != AF_UNIX)  # scripts of users talk to nobody" },
});

const scripts = {
  "a sum": "print(sum(map(int, input().split())))",
  "a mistake": "print(1 / 0)",
  "no end": "import time\nwhile True: time.sleep(1)",
  "a connection": "import socket; socket.create_connection(('127.0.0.1', 80))",
};
for (const [name, script] of Object.entries(scripts)) {
  const { stdout, stderr, exitCode, timedOut } = await exec("python3", ["-I", "-c", script], {
    policy: plan,
    input: "1 2 3 4\n",
    timeout: 20_000,
    env: { PATH: process.env.PATH },
  });
  console.log(`${name}:`, timedOut ? "took too long" : exitCode === 0 ? stdout.trim() : stderr.trim().split("\n").at(-1));
}
