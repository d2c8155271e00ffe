/**
 * What Linux's system calls are: numbers, arguments, first releases, twins, groups and constants, per ABI.
 *
 *   syscallNumber("x86_64", "openat")                     257
 *   syscallByName("x86", "mmap")?.args?.[2]?.place        { kind: "memory" }
 *   twinsOf("setuid")                                     ["setuid", "setuid32"]
 *   constantValue("aarch64", "O_DIRECT")                  65536n
 *   groupMembers("@setuid")                               ["setgid", "setgid32", …]
 *
 * The tables are generated (scripts/gen-syscalls.mjs, scripts/gen-constants.mjs) and hold facts only; this
 * folder imports nothing from the others and no Node module.
 */
export { type Abi, type AbiName, abiByName, abis, hostAbi } from "./abi.ts";
export { type Argument, argumentNamed, type Place } from "./argument.ts";
export {
  argumentsWithNames,
  clockNames,
  type DependentValues,
  fileCommandNames,
  type KnownArguments,
  type NamedValues,
  namedValues,
  namesOfValue,
  namesWithin,
  optionsByLevel,
  protocolsByDomain,
  socketKinds,
} from "./argument-constants.ts";
export { constantsOf } from "./constant-list.ts";
export {
  type Constant,
  constantNames,
  constantsNamed,
  constantValue,
  errnoName,
  errnoNumber,
  isConstant,
} from "./constants.ts";
export { type GroupDifference, groupDifferences } from "./group-differences.ts";
export { type Group, groupMembers, groups } from "./groups.ts";
export { isMultiplexed, type Multiplexed, multiplexedOf } from "./multiplexed.ts";
export {
  hasSyscall,
  type Syscall,
  syscallByName,
  syscallByNumber,
  syscallNames,
  syscallNumber,
  syscallsOf,
} from "./table.ts";
export { twinsOf } from "./twins.ts";
export {
  compareVersions,
  formatVersion,
  type KernelVersion,
  newestVersion,
  parseVersion,
} from "./version.ts";
