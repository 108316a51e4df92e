/**
 * Names in databases. Names of schemas and tables are checked, because they become part of a statement. Names of columns are
 * quoted.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

/** Fails for the first of these options that is not an identifier. */
export const checkIdentifiers = (
  options: { readonly [option: string]: string }
): Effect.Effect<void, InvalidOptionError> => {
  const bad = Object.entries(options).find(([, name]) => !IDENTIFIER.test(name))
  return bad === undefined ? Effect.void : Effect.fail(
    InvalidOptionError.of(
      bad[0],
      bad[1],
      "a letter or underscore, then at most 62 letters, digits and underscores"
    )
  )
}

/** A name as the SQL standard quotes it. */
export const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`
