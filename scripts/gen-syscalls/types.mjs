// What a C type means for a filter: pointer or integer, the bits that the kernel reads, and the sign.

const int32 = [
  "int",
  "pid_t",
  "key_t",
  "timer_t",
  "clockid_t",
  "mqd_t",
  "rwf_t",
  "key_serial_t",
  "__s32",
  "compat_pid_t",
  "compat_int_t",
  "s32",
];
const uint32 = [
  "unsigned int",
  "unsigned",
  "uint",
  "u32",
  "__u32",
  "uid_t",
  "gid_t",
  "qid_t",
  "compat_uint_t",
  "enum landlock_rule_type",
  "old_sigset_t32",
];
const uint16 = ["umode_t", "old_uid_t", "old_gid_t", "compat_mode_t", "u16"];
const long = ["long", "off_t"];
const ulong = ["unsigned long", "uintptr_t", "size_t", "aio_context_t", "old_sigset_t"];
const compatLong = ["compat_long_t", "compat_off_t", "compat_ssize_t"];
const compatUlong = ["compat_ulong_t", "compat_size_t", "compat_aio_context_t"];
const pointers = ["cap_user_header_t", "cap_user_data_t", "__sighandler_t"];

/** `{ kind, width, signed }` of a type where `long` has `word` bits; throws on a type it was not told about. */
export function typeInfo(type, word) {
  if (type.includes("*") || pointers.includes(type)) return { kind: "pointer", width: word, signed: false };
  if (type === "compat_uptr_t") return { kind: "pointer", width: 32, signed: false };
  const integer = (width, signed) => ({ kind: "integer", width, signed });
  if (int32.includes(type)) return integer(32, true);
  if (uint32.includes(type)) return integer(32, false);
  if (uint16.includes(type)) return integer(16, false);
  if (long.includes(type)) return integer(word, true);
  if (ulong.includes(type)) return integer(word, false);
  if (compatLong.includes(type)) return integer(32, true);
  if (compatUlong.includes(type)) return integer(32, false);
  if (type === "loff_t") return integer(64, true);
  if (["u64", "__u64"].includes(type)) return integer(64, false);
  throw new Error(`unknown C type "${type}": say in types.mjs how many bits of it the kernel reads`);
}
