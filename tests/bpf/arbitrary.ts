// Random programs and calls, for the property tests here and in tests/kernel.
import fc from "fast-check";
import {
  ALU_DIV_K,
  ALU_LSH_K,
  ALU_RSH_K,
  type Instruction,
  instruction,
  isConditionalJump,
  JA,
  LD_MEM,
  LD_W_ABS,
  LDX_MEM,
  PERMITTED_CODES,
  RET_A,
  RET_K,
  type SeccompData,
  ST,
  STX,
} from "../../src/bpf/index.ts";

const bodyCodes = [...PERMITTED_CODES].filter((code) => code !== RET_K && code !== RET_A);
const codesReadingMemory: readonly number[] = [LD_MEM, LDX_MEM];

/** 32-bit words, often the ones where things go wrong. */
export const word: fc.Arbitrary<number> = fc.oneof(
  fc.nat(0xffffffff),
  fc.nat(0x3f),
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x40000000, 0xffff0000),
);

/** 64-bit words of which the halves are such. */
export const longWord: fc.Arbitrary<bigint> = fc
  .tuple(word, word)
  .map(([high, low]) => (BigInt(high) << 32n) | BigInt(low));

/** Any eight bytes, as an instruction. */
export const anyInstruction: fc.Arbitrary<Instruction> = fc.record(
  {
    code: fc.oneof(fc.nat(0xffff), fc.nat(0xff), fc.constantFrom(...PERMITTED_CODES)),
    jt: fc.nat(0xff),
    jf: fc.nat(0xff),
    k: word,
  },
  { noNullPrototype: true },
);

/** Calls whose numbers no kernel has, so that making them does nothing. */
export const harmlessCall: fc.Arbitrary<SeccompData> = fc.record({
  nr: fc.oneof(fc.integer({ min: 0x1f00, max: 0xffff }), fc.constantFrom(0x40001f00, 0x7fffffff, 0xfffffffe)),
  arch: fc.constantFrom(0xc000003e, 0x40000003, 0xc00000b7),
  args: fc.array(longWord, { minLength: 6, maxLength: 6 }),
});

/** An instruction that obeys every rule when at least `beyond` instructions follow it. */
function lawfulInstruction(beyond: number): fc.Arbitrary<Instruction> {
  const distance = fc.nat(Math.min(255, beyond - 1));
  return fc.tuple(fc.constantFrom(...bodyCodes), word, distance, distance).map(([code, k, jt, jf]) => {
    if (isConditionalJump(code)) return instruction(code, k, jt, jf);
    switch (code) {
      case LD_W_ABS:
        return instruction(code, (k % 16) * 4);
      case LD_MEM:
      case LDX_MEM:
      case ST:
      case STX:
        return instruction(code, k % 4);
      case ALU_DIV_K:
        return instruction(code, Math.max(1, k));
      case ALU_LSH_K:
      case ALU_RSH_K:
        return instruction(code, k % 32);
      case JA:
        return instruction(code, jt % 3 < beyond ? jt % 3 : 0);
      default:
        return instruction(code, k);
    }
  });
}

/** Bodies for programs: lawful as long as at least one instruction follows. `before` is put in front. */
export function lawfulBody(maxLength: number): fc.Arbitrary<readonly Instruction[]> {
  return fc
    .integer({ min: 1, max: maxLength })
    .chain((length) => fc.tuple(...Array.from({ length }, (_, index) => lawfulInstruction(length - index))));
}

/** Stores to the words of memory that `lawfulBody` reads, so that reading them is lawful. */
export const memoryPrologue: readonly Instruction[] = [0, 1, 2, 3].map((k) => instruction(ST, k));

/** Whether the program reads memory at all. */
export function readsMemory(instructions: readonly Instruction[]): boolean {
  return instructions.some(({ code }) => codesReadingMemory.includes(code));
}
