/**
 * Classic BPF as the kernel's seccomp takes it: instructions, their bytes, their meaning. Nothing here knows
 * any system call by name.
 *
 * ```ts
 * const program = [
 *   load(ARCH_OFFSET),              //  0  ld    [4]                 ; arch
 *   jump(JEQ_K, 0xc000003e, 1, 0),  //  1  jeq   0xc000003e ? 3 : 2
 *   ret(RET_KILL_PROCESS),          //  2  ret   KILL_PROCESS
 *   load(NR_OFFSET),                //  3  ld    [0]                 ; nr
 *   jump(JEQ_K, 101, 0, 1),         //  4  jeq   0x65 ? 5 : 6
 *   ret(errno(1)),                  //  5  ret   ERRNO(1)
 *   ret(RET_ALLOW),                 //  6  ret   ALLOW
 * ];
 * check(program);                                               // [] : the kernel would take it
 * emulate(program, { nr: 101, arch: 0xc000003e, args: [] });    // errno(1)
 * isCacheable(program, 0, 0xc000003e);                          // true : for call 0 it would never be run
 * decode(encode(program));                                      // the same program
 * format(disassemble(program));                                 // the listing on the right
 * ```
 *
 * - **instruction**: an opcode, two short jump distances and a 32-bit operand; eight bytes when encoded.
 * - **program**: 1 to 4096 instructions; jumps go forward only.
 * - **filter**: a program together with its bytes.
 * - **A, X, M[0…15]**: the machine's accumulator, index register and memory, 32 bits each.
 * - **seccomp_data**: what a filter can look at: number, architecture, instruction pointer, six arguments; 64 bytes.
 * - **return value**: an action in the upper 16 bits, data for it in the lower 16.
 * - **strictness**: the kernel's order of actions, by which a stack of filters agrees on one.
 * - **cacheable**: allowed whatever the arguments are, in a way that the kernel sees without running the filter.
 */
export * from "./check.ts";
export * from "./decode.ts";
export * from "./disassemble.ts";
export * from "./emulate.ts";
export * from "./encode.ts";
export * from "./filter.ts";
export * from "./instruction.ts";
export * from "./return-value.ts";
export * from "./seccomp-data.ts";
