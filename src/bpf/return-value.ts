// What a filter returns: an action in the upper 16 bits, data for it in the lower 16.

/** Kill the whole process with SIGSYS. */
export const RET_KILL_PROCESS = 0x80000000;
/** Kill the thread with SIGSYS. */
export const RET_KILL_THREAD = 0x00000000;
/** Send SIGSYS; the data is in si_errno. */
export const RET_TRAP = 0x00030000;
/** Fail with the errno in the data (at most 4095); 0 looks like success. */
export const RET_ERRNO = 0x00050000;
/** Ask the listener; ENOSYS where there is none. */
export const RET_USER_NOTIF = 0x7fc00000;
/** Ask the tracer; ENOSYS where there is none. */
export const RET_TRACE = 0x7ff00000;
/** Let the call pass and write it to the kernel's log. */
export const RET_LOG = 0x7ffc0000;
/** Let the call pass. */
export const RET_ALLOW = 0x7fff0000;

/** The bits of a return value that say what is done (`SECCOMP_RET_ACTION_FULL`). */
export const ACTION_MASK = 0xffff0000;
/** The bits of a return value that are data for the action. */
export const DATA_MASK = 0x0000ffff;
/** The largest errno the kernel delivers: greater data is cut to it. */
export const MAX_ERRNO = 4095;

/** The action of a return value: one of the `RET_…` constants, or what the kernel treats as RET_KILL_PROCESS. */
export function actionOf(returnValue: number): number {
  return (returnValue & ACTION_MASK) >>> 0;
}

/** The data of a return value: an errno, a cookie for the tracer. */
export function dataOf(returnValue: number): number {
  return returnValue & DATA_MASK;
}

/** The return value that makes a call fail with this error number. */
export function errno(number: number): number {
  return RET_ERRNO | (number & DATA_MASK);
}

/**
 * How strict the kernel holds a return value to be: the greater, the stricter; data does not count.
 *
 * The kernel compares actions as *signed* numbers and takes the least, which puts the values from 0x80000000 up,
 * RET_KILL_PROCESS and actions it does not know, before all others.
 */
export function strictness(returnValue: number): number {
  return 0 - (returnValue & ACTION_MASK);
}

/** What a stack of filters answers: the stricter of the two, and among equal actions the newer filter's value. */
export function strictest(newer: number, older: number): number {
  return strictness(older) > strictness(newer) ? older : newer;
}
