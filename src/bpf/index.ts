export * from "./decode.ts";
export * from "./emulate.ts";
export * from "./encode.ts";
export * from "./filter.ts";
export * from "./instruction.ts";
export * from "./return-value.ts";
export * from "./seccomp-data.ts";
