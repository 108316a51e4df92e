/**
 * What a terminal must be sent to show lines that stand still, on a screen of their own.
 *
 * Only rows that changed are sent, and the terminal is asked to show them all at once. It does not wrap lines meanwhile.
 */

const CSI = "\u001b["

/**
 * Opens the other screen.
 *
 * @since 0.1.0
 * @category terminal
 */
export const enterScreen = `${CSI}?1049h`

/**
 * Leaves it as it was. The first character ends a sequence that was cut off.
 *
 * @since 0.1.0
 * @category terminal
 */
export const leaveScreen = `\u0018${CSI}?2026l${CSI}m${CSI}?7h${CSI}?25h${CSI}?1049l`

/** No cursor, no wrapped lines, and nothing on the screen. */
const CLEAR = `${CSI}?25l${CSI}?7l${CSI}2J`

/**
 * Turns the lines that stand into others. Null: nobody knows what stands there. Empty if nothing changed.
 *
 * @since 0.1.0
 * @category terminal
 */
export const frameOf = (before: ReadonlyArray<string> | null, lines: ReadonlyArray<string>): string => {
  const rows = Array.from(
    { length: Math.max(lines.length, before?.length ?? 0) },
    (_, at) => before !== null && before[at] === lines[at] ? "" : `${CSI}${at + 1};1H${lines[at] ?? ""}${CSI}K`
  ).join("")
  const clear = before === null ? CLEAR : ""
  return clear + rows === "" ? "" : `${CSI}?2026h${clear}${rows}${CSI}?2026l`
}
