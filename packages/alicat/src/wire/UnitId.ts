/**
 * The unit ids of devices on a port.
 */

/** `A` to `Z`. */
export const UNIT_IDS: ReadonlyArray<string> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("")
