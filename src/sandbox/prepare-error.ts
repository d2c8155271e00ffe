/** A policy that cannot be carried out here; the message says which part and what to do. */
export class PrepareError extends Error {
  override readonly name = "PrepareError";
}
