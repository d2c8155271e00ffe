// What tests draw at random, they draw from one seed. CI takes the same each time, so that a run there says something
// about the change and not about chance; everywhere else it is another at each run, which finds what nobody thought of.
// Whoever saw a failure repeats it with CALLGATE_SEED, and each failure says so.
import fc from "fast-check";

const seedOfCi = 20_261_127;
const greatest = 0x7fff_ffff;

function chooseSeed(): number {
  const { CALLGATE_SEED: given, CI: ci } = process.env;
  if (given === undefined) return ci === undefined ? Date.now() & greatest : seedOfCi;
  const number = Number(given);
  if (/^\d+$/.test(given) && number <= greatest) return number;
  throw new Error(`CALLGATE_SEED is ${JSON.stringify(given)}: it has to be a number from 0 to ${greatest}`);
}

export const seed = chooseSeed();
const repeat = `drawn at random; the same again: CALLGATE_SEED=${seed}`;

// Of every test that imports this, whatever else it passes.
fc.configureGlobal({
  seed,
  reporter: (details) => {
    if (details.failed)
      throw new Error(`${repeat}\n${fc.defaultReportMessage(details)}`, { cause: details.errorInstance });
  },
});

/** The body of a test that draws by itself, not by fast-check: its failure says how to repeat it. */
export function drawing<Args extends readonly unknown[]>(
  body: (...args: Args) => void,
): (...args: Args) => void {
  return (...args) => {
    try {
      body(...args);
    } catch (cause) {
      throw new Error(repeat, { cause });
    }
  };
}

/** Numbers from 0 to less than 1, always the same from one start. */
export function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
