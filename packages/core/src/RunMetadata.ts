/**
 * What a user says of a run: the operator, the sample, notes. It is kept as given, with the run.
 */
import { Effect } from "effect"
import { InvalidOptionError } from "./InvalidOptionError.ts"

/**
 * Texts by key. A key is a letter followed by letters, digits, `_`, `.` and `-`. A text has at most 4 kB of UTF-8 and no NUL. There
 * are at most 64 keys.
 *
 * @since 0.1.0
 * @category models
 */
export type RunMetadata = { readonly [key: string]: string }

const KEY = /^[A-Za-z][A-Za-z0-9_.-]*$/
const MOST_KEYS = 64
const MOST_BYTES = 4096

/**
 * Fails if the metadata cannot be kept. Gives it unchanged; empty if there is none.
 *
 * @since 0.1.0
 * @category validation
 */
export const checkMetadata = (metadata: RunMetadata = {}): Effect.Effect<RunMetadata, InvalidOptionError> => {
  const refuse = (value: unknown, expected: string) => Effect.fail(InvalidOptionError.of("metadata", value, expected))
  const entries = Object.entries(metadata)
  if (entries.length > MOST_KEYS) return refuse(`${entries.length} keys`, `at most ${MOST_KEYS} keys`)
  for (const [key, text] of entries) {
    if (!KEY.test(key)) {
      return refuse(key, "keys that begin with a letter and have letters, digits, _, . and - only, such as operator")
    }
    if (typeof text !== "string") return refuse(`${key}: ${String(text)}`, "texts")
    if (text.includes("\0")) return refuse(`the text of ${key}`, "texts without a NUL character")
    if (new TextEncoder().encode(text).length > MOST_BYTES) {
      return refuse(
        `the text of ${key}`,
        `texts of at most ${MOST_BYTES} bytes; keep longer notes in a file of their own`
      )
    }
  }
  return Effect.succeed(metadata)
}
