/** @returns the code of a failed system call, such as `ENOENT`, as the errors of Node's modules have it; undefined for others */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
