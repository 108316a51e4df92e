/**
 * Names of columns in Postgres: at most 63 bytes, without NUL, and not the name of a system column.
 */

/** Postgres shortens names to this many bytes. */
const MAX_NAME_BYTES = 63

/** Columns that every table has. */
const SYSTEM_COLUMNS = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]

/** The name under which Postgres can store each column. Shortened names keep whole characters and stay distinct. */
export const storedNames = (columns: ReadonlyArray<{ readonly name: string }>): ReadonlyMap<string, string> => {
  const isStorable = (name: string) =>
    Buffer.byteLength(name) <= MAX_NAME_BYTES && !name.includes("\0") && !SYSTEM_COLUMNS.includes(name)
  const taken = new Set([...SYSTEM_COLUMNS, ...columns.map(({ name }) => name).filter(isStorable)])
  return new Map(columns.map(({ name }) => {
    if (isStorable(name)) return [name, name]
    const clean = name.replaceAll("\0", "") || "field"
    let stored = cut(clean, MAX_NAME_BYTES)
    for (let n = 2; taken.has(stored); n++) stored = `${cut(clean, MAX_NAME_BYTES - `_${n}`.length)}_${n}`
    taken.add(stored)
    return [name, stored]
  }))
}

const cut = (name: string, bytes: number): string => {
  let kept = ""
  for (const character of name) {
    if (Buffer.byteLength(kept + character) > bytes) break
    kept += character
  }
  return kept
}
