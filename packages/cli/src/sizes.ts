/**
 * The size of a journal, as people write it: `500MB`, `10GiB`.
 */
import { parseBytes } from "@sampleline/core"
import * as Option from "effect/Option"

export const SIZE_FORM = "a size of at least 100MB, such as 500MB or 10GiB"

/** What outputs have is let go every few seconds. A smaller journal might fill up in between. */
const SMALLEST = 1e8

/** In bytes. None if the text is not a size, or less than 100MB. */
export const parseSize = (text: string): Option.Option<number> =>
  Option.filter(parseBytes(text), (bytes) => bytes >= SMALLEST)
