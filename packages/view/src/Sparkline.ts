/**
 * The trend of a value in a row of characters: its lowest value is low, its highest is high, and where nothing came is a gap.
 */

const BLOCKS = "▁▂▃▄▅▆▇█"
const ASCII = "_.-=^"

/** A trend that moves less than this part of its value is drawn flat: it is noise. */
const FLAT = 0.005

/**
 * The latest points in at most so many columns. Where there are more points than columns, a column is the mean of its points.
 */
export const sparkline = (points: ReadonlyArray<number | null>, columns: number, unicode: boolean): string => {
  const levels = unicode ? BLOCKS : ASCII
  const perColumn = Math.max(1, Math.ceil(points.length / columns))
  const cells: Array<number | null> = []
  for (let end = points.length; end > 0 && cells.length < columns; end -= perColumn) {
    cells.unshift(mean(points.slice(Math.max(0, end - perColumn), end)))
  }
  const values = cells.filter((value) => value !== null)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const span = Math.max(high - low, FLAT * Math.max(Math.abs(low), Math.abs(high)))
  const from = (low + high - span) / 2
  return cells.map((value) =>
    value === null
      ? " "
      : levels[span === 0 ? 0 : Math.min(levels.length - 1, Math.floor((value - from) / span * levels.length))]
  ).join("")
}

const mean = (points: ReadonlyArray<number | null>): number | null => {
  const values = points.filter((value) => value !== null)
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value / values.length, 0)
}
