// `npm run bench`: builds, then measures.
await import("./build.mjs");
await import("../dist/bench/main.js");
