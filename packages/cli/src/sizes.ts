/**
 * Sizes as people write them: `500MB`, `10GiB`, `1.5 GB`.
 */
import * as Option from "effect/Option"

const BYTES: { readonly [unit: string]: number } = {
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
}

export const SIZE_FORM = "a size of at least 100MB, such as 500MB or 10GiB"

/** What outputs have is let go every few seconds. A smaller journal might fill up in between. */
const SMALLEST = 1e8

/** In bytes. None if the text is not a size, or less than 100MB. */
export const parseSize = (text: string): Option.Option<number> => {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgt]i?b)$/i.exec(text.trim()) ?? []
  const bytes = Math.round(Number(amount) * (BYTES[unit.toLowerCase()] ?? Number.NaN))
  return bytes >= SMALLEST && Number.isSafeInteger(bytes) ? Option.some(bytes) : Option.none()
}
