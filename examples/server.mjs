// A server that starts a program for each request, under a policy: a time limit, and an end when the client goes.
import { once } from "node:events";
import { createServer, get } from "node:http";
import { prepare, SandboxError, spawn } from "callgate";

const plan = prepare("default");
const programs = { "/sorted": ["sort", ["-n"]], "/gone": ["no-such-program", []] };

const server = createServer((request, response) => {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const [command, args] = programs[request.url] ?? programs["/gone"];
  const child = spawn(command, args, { policy: plan, signal: gone.signal, timeout: 30_000, stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", (error) => {
    if (error instanceof SandboxError) response.writeHead(500).end(`${error.step}: ${error.code}\n`);
  });
  child.on("spawn", () => child.stdout.pipe(response));
  child.stdin.end("10\n9\n8\n");
  child.stdin.on("error", () => {});
});
await once(server.listen(0, "127.0.0.1"), "listening");

for (const path of ["/sorted", "/gone"]) {
  const [response] = await once(get({ port: server.address().port, host: "127.0.0.1", path }), "response");
  const body = (await response.setEncoding("utf8").toArray()).join("");
  console.log(path, response.statusCode, JSON.stringify(body));
}
server.close();
