/** The version of this package; a test holds it equal to package.json's. */
export const version = "0.1.0";

/** The day of this version, for the manual pages. */
export const releaseDate = "November 26, 2026";
