/**
 * What the benchmarks have in common when they tell their figures.
 */

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
}

/** Lines of a table for people: the first row is its head, the first `labels` columns are texts, the others figures. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>, labels: number): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, column) => column < labels ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join(
      "  "
    )
  ).join("\n")
}
