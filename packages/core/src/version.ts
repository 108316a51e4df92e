/**
 * The version of the recorder. Kept with each run.
 */
export const VERSION = "0.1.0"
