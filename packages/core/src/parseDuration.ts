/**
 * Durations as people write them: `10ms`, `60s`, `5min`, `2h`, `1d`, `1h30min`, and `60 seconds`.
 */
import { Duration, Option } from "effect"

const MILLIS: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

/**
 * None if the text is not a duration, or not finite and above 0.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parseDuration = (text: string): Option.Option<Duration.Duration> => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/gy)]
  const isShort = parts.length > 0 && parts.reduce((length, part) => length + part[0].length, 0) === text.length
  const duration = isShort
    ? Option.some(
      Duration.millis(parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (MILLIS[unit] ?? 0), 0))
    )
    : Duration.fromInput(text as Duration.Input)
  return Option.filter(duration, (value) => Duration.isFinite(value) && Duration.isPositive(value))
}
