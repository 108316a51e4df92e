/**
 * How many columns of a terminal a text takes, and texts that are made safe for one.
 *
 * A character that terminals disagree about counts as two, so a text never takes more columns than it says.
 */

/** Control characters, what changes the direction of a text, half characters, and what is not seen. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** A text without characters that could move the cursor or change the terminal. Spaces are plain ones. */
export const safe = (text: string): string => text.replace(/\s/g, " ").replace(UNSAFE, "")

const NO_COLUMN = /^[\p{Mn}\p{Me}]$/u
/** Asian scripts, and signs that are drawn as emoji. */
const TWO_COLUMN_RANGES = [
  String.raw`\u1100-\u11ff\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7ff`,
  String.raw`\uf900-\ufaff\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6`,
  String.raw`\u{16fe0}-\u{1b2ff}\u{1d300}-\u{1d37f}\u{1f000}-\u{1faff}`,
  String.raw`\u{20000}-\u{3fffd}\p{Emoji_Presentation}`
].join("")
const TWO_COLUMNS = new RegExp(`^[${TWO_COLUMN_RANGES}]$`, "u")

/** Most characters of a table are drawn again and again, and the expressions take most of the time of a frame. */
const known = new Map<string, number>()

const widthOfCharacter = (character: string): number => {
  if (character < "\u0300") return 1
  const width = known.get(character) ?? (NO_COLUMN.test(character) ? 0 : TWO_COLUMNS.test(character) ? 2 : 1)
  known.set(character, width)
  return width
}

/**
 * The columns that a text takes, if it has no control characters.
 *
 * @since 0.1.0
 * @category text
 */
export const widthOf = (text: string): number => {
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** The beginning of a text that fits; where something is left out, `more` is at its end. */
export const cut = (text: string, columns: number, more: string): string => {
  if (widthOf(text) <= columns) return text
  const room = columns - widthOf(more)
  if (room < 0) return ""
  let width = 0
  let kept = ""
  for (const character of text) {
    width += widthOfCharacter(character)
    if (width > room) break
    kept += character
  }
  return kept + more
}

/** The text in a cell of so many columns. */
export const fit = (text: string, columns: number, more: string, side: "left" | "right" = "left"): string => {
  const shown = cut(text, columns, more)
  const space = " ".repeat(Math.max(0, columns - widthOf(shown)))
  return side === "left" ? shown + space : space + shown
}
