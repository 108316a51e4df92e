/**
 * The unit ids that devices on one port can have.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"

/** `A` to `Z`. */
export const UNIT_IDS: ReadonlyArray<string> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("")

/** A unit id in capitals. `option` is named in the error. */
export const validUnit = (option: string, unit: string): Effect.Effect<string, InvalidOptionError> =>
  /^[A-Z]$/i.test(unit)
    ? Effect.succeed(unit.toUpperCase())
    : Effect.fail(InvalidOptionError.of(option, unit, "a unit id, one letter from A to Z"))
