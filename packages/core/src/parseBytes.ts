/**
 * Sizes as people write them: `500MB`, `10GiB`, `1.5 GB`.
 */
import { Option } from "effect"

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

/**
 * In bytes. None if the text is not a size above 0.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parseBytes = (text: string): Option.Option<number> => {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgt]i?b)$/i.exec(text.trim()) ?? []
  const bytes = Math.round(Number(amount) * (BYTES[unit.toLowerCase()] ?? Number.NaN))
  return bytes > 0 && Number.isSafeInteger(bytes) ? Option.some(bytes) : Option.none()
}
