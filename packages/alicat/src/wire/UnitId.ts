/**
 * The unit ids that devices on one port can have.
 */

/** `A` to `Z`. */
export const UNIT_IDS: ReadonlyArray<string> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("")
