/**
 * Names in databases: schemas and tables are checked, because they become a part of statements; columns are quoted as they are.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect, Formatter } from "effect"

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

/** Fails for the first of these options that is no identifier. */
export const checkIdentifiers = (
  options: { readonly [option: string]: string }
): Effect.Effect<void, InvalidOptionError> => {
  const bad = Object.entries(options).find(([, name]) => !IDENTIFIER.test(name))
  return bad === undefined ? Effect.void : Effect.fail(
    new InvalidOptionError({
      option: bad[0],
      value: Formatter.format(bad[1]),
      expected: "a letter or underscore, then at most 62 letters, digits and underscores"
    })
  )
}

/** A name as the SQL standard quotes it. */
export const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** The columns of a row that are times, by which they are known in a table whose types do not tell. */
export const TIME_COLUMNS: ReadonlySet<string> = new Set(["requested_at", "received_at", "midpoint_at"])
