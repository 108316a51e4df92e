/**
 * The message of an unknown error.
 */
import { Formatter } from "effect"

/**
 * One line of text for any error or thrown value.
 *
 * @since 0.1.0
 * @category conversions
 */
export const messageOf = (error: unknown): string => {
  const text = error instanceof Error
    ? error.message || error.name
    : typeof error === "string"
    ? error
    : Formatter.format(error)
  return text.replaceAll(/\s*\n\s*/g, " ")
}
