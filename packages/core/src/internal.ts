/**
 * What several modules of this package need and nobody else does.
 */
import { Formatter } from "effect"

/**
 * What someone else's error says, in one line: of anything, since a third party may fail with anything.
 *
 * @internal
 */
export const messageOf = (error: unknown): string => {
  const text = error instanceof Error
    ? error.message || error.name
    : typeof error === "string"
    ? error
    : Formatter.format(error)
  return text.replaceAll(/\s*\n\s*/g, " ")
}
