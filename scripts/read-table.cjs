// What reads a table in the command: part of its bundle (build-cli.mjs).
const { closeSync, openSync, readSync } = require("node:fs");
const { join } = require("node:path");

/** The text of one table, which begins at a byte of the file that has them all. */
exports.readTable = (start, length) => {
  const file = openSync(join(__dirname, "tables.txt"), "r");
  try {
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(file, bytes, 0, length, start) !== length)
      throw new Error(`${join(__dirname, "tables.txt")} is damaged: install callgate again`);
    return bytes.toString("latin1");
  } finally {
    closeSync(file);
  }
};
