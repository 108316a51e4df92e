/**
 * Numbers and times as the table writes them.
 */
import type { FieldView } from "./LiveTable.ts"
import { safe } from "./TextWidth.ts"

/** The most digits of a number. */
const DIGITS = 7

export const valueText = (field: FieldView | undefined): string => {
  const value = field?.value
  if (field === undefined || value === undefined) return ""
  if (value === null) return "-"
  if (typeof value === "string") return safe(value)
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return String(value)
  if (size >= 10 ** DIGITS || (size > 0 && size < 1e-4)) return value.toExponential(3)
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1
  return value.toFixed(Math.min(field.decimals, DIGITS - whole))
}

/**
 * `0:01:00`, in hours, minutes and seconds.
 *
 * @since 0.1.0
 * @category text
 */
export const clockText = (seconds: number): string => {
  const whole = Math.floor(seconds)
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"))
  return `${Math.floor(whole / 3600)}:${minutes}:${rest}`
}

export const ageText = (seconds: number): string => {
  if (seconds < 1) return "<1 s"
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

export const rateText = (rate: number): string => String(Number(rate.toPrecision(3)))

export const count = (value: number): string => value.toLocaleString("en-US")

export const bytesText = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const amount = bytes / 1000 ** at
  return `${at === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[at]}`
}
