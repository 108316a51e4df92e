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

export const SIZE_FORM = "a size of at least 1MB, such as 500MB or 10GiB"

/** Smaller than this, a journal would stop in a moment. */
const SMALLEST = 1e6

/** In bytes. None if the text is not a size, or less than 1MB. */
export const parseSize = (text: string): Option.Option<number> => {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgt]i?b)$/i.exec(text.trim()) ?? []
  const bytes = Math.round(Number(amount) * (BYTES[unit.toLowerCase()] ?? Number.NaN))
  return bytes >= SMALLEST && Number.isSafeInteger(bytes) ? Option.some(bytes) : Option.none()
}
