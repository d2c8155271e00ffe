/** A TCP port for a server that has to be told one. */
import assert from "node:assert/strict";
import { createServer } from "node:net";

/** Below those that the kernel hands out to whoever does not care, and each test process begins elsewhere. */
let next = 10_000 + ((process.pid * 16) % 20_000);

/** A port that nobody has, and that nobody is given before a server that is told it has started. */
export async function freePort(): Promise<number> {
  for (const last = next + 1000; next < last; ) {
    const port = next;
    next += 1;
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  return assert.fail("a thousand ports in a row are taken");
}
