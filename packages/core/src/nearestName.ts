/**
 * The known name that a misspelt one probably means.
 */

/** More differences make it another word. */
const MAX_DIFFERENCES = 2

/**
 * The most similar of the known names; undefined if none is similar.
 *
 * @since 0.1.0
 * @category conversions
 */
export const nearestName = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const wanted = plain(name)
  const allowed = Math.min(MAX_DIFFERENCES, Math.floor(wanted.length / 2))
  let nearest: string | undefined
  let fewest = allowed + 1
  for (const candidate of known) {
    const found = plain(candidate)
    if (Math.abs(found.length - wanted.length) > allowed) continue
    const differences = differencesOf(wanted, found)
    if (differences < fewest) [nearest, fewest] = [candidate, differences]
  }
  return nearest
}

/** `rowIds`, `row_ids` and `--row-ids` are `row-ids`, and `Mass_Flow` is `mass-flow`. */
const plain = (name: string): string =>
  name.replace(/^--/, "").replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`).toLowerCase().replaceAll("_", "-")

/** How many letters to add, remove, replace or swap with their neighbour. */
const differencesOf = (a: string, b: string): number => {
  let [beforeLast, last]: [ReadonlyArray<number>, ReadonlyArray<number>] = [
    [],
    Array.from(
      { length: b.length + 1 },
      (_, at) => at
    )
  ]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(Math.min(replaced, last[j]! + 1, row[j - 1]! + 1, isSwap ? beforeLast[j - 2]! + 1 : Infinity))
    }
    ;[beforeLast, last] = [last, row]
  }
  return last[b.length]!
}
