/**
 * A table for a terminal. The first row is the head. The first `labels` columns are texts, the others are figures.
 */
export const textTable = (rows: ReadonlyArray<ReadonlyArray<string>>, labels: number): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, column) => column < labels ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join(
      "  "
    )
  ).join("\n")
}
