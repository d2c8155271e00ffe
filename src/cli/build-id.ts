declare const callgateBuild: string | undefined;

/**
 * The hash of everything that this command is made of: its code and its tables. The loader (scripts/cli-loader.cjs) gives
 * it; undefined where the modules are run as they are.
 */
export const buildId: string | undefined = typeof callgateBuild === "string" ? callgateBuild : undefined;
