/**
 * The axis of values: its limits, its ticks and their texts. Pure.
 */

/** With a little room on both sides. Null: there are no values. */
export const limitsOf = (min: number | null, max: number | null, isLog: boolean): [number, number] => {
  if (min === null || max === null || isLog && min <= 0) return isLog ? [0.1, 10] : [0, 1]
  if (isLog) return max > min ? [min / 1.1, max * 1.1] : [min / 2, max * 2]
  const beside = max > min ? (max - min) * 0.1 : Math.abs(max) * 0.05 || 1
  return [min - beside, max + beside]
}

/** Values with less than this between the least and the greatest have no decades to show. */
const FEW_DECADES = 20
const FEWEST_TICKS = 4

/** Whole decades with some steps between them, or even steps where the values lie within a decade or so. */
export const logTicks = (min: number, max: number): Array<number> => {
  if (max / min < FEW_DECADES) {
    const raw = (max - min) / FEWEST_TICKS
    const decade = 10 ** Math.floor(Math.log10(raw))
    const step = decade * (raw / decade >= 5 ? 5 : raw / decade >= 2 ? 2 : 1)
    const first = Math.ceil(min / step)
    return Array.from(
      { length: Math.floor(max / step) - first + 1 },
      (_, at) => Number(((first + at) * step).toPrecision(12))
    )
  }
  const from = Math.floor(Math.log10(min))
  const decades = Array.from({ length: Math.ceil(Math.log10(max)) - from }, (_, at) => from + at)
  const steps = decades.length > 3 ? [1] : [1, 2, 5]
  return decades.flatMap((decade) => steps.map((step) => Number((step * 10 ** decade).toPrecision(12))))
    .filter((tick) => tick >= min && tick <= max)
}

const MOST_DECIMALS = 8

/** All with as many decimals as the one that needs most. */
export const valueTickTexts = (ticks: ReadonlyArray<number>): Array<string> => {
  const sizes = ticks.map(Math.abs)
  if (Math.max(...sizes) >= 1e6 || Math.max(...sizes) < 1e-4) {
    return ticks.map((tick) => tick === 0 ? "0" : Number(tick.toPrecision(4)).toExponential())
  }
  const decimals = Math.max(...ticks.map(decimalsOf))
  const isEven = ticks.length < 2 || Math.abs(ticks[1]! / ticks[0]!) < 1.9 || decimals < 3
  return ticks.map((tick) => tick.toFixed(isEven ? decimals : decimalsOf(tick)))
}

const decimalsOf = (tick: number): number => {
  for (let decimals = 0; decimals < MOST_DECIMALS; decimals++) {
    if (Math.abs(Number(tick.toFixed(decimals)) - tick) < 1e-9 * Math.max(1, Math.abs(tick))) return decimals
  }
  return MOST_DECIMALS
}
