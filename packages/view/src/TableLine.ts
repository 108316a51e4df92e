/**
 * A line of the table: pieces of text, each with a style.
 */
import type { TableOptions } from "./TableView.ts"
import { cut, widthOf } from "./TextWidth.ts"

export type Style = "plain" | "bold" | "dim" | "good" | "warning" | "bad"

/** By the terminal's own palette. Without colours only bold and dim are left. */
const STYLES: { readonly [style in Style]: { readonly always: string; readonly colour: string } } = {
  plain: { always: "", colour: "" },
  bold: { always: "1", colour: "" },
  dim: { always: "2", colour: "" },
  good: { always: "", colour: "32" },
  warning: { always: "1", colour: "33" },
  bad: { always: "1", colour: "31" }
}

export interface Piece {
  readonly text: string
  readonly style?: Style
}

export type Line = ReadonlyArray<Piece>

/** The line as a terminal is sent it: cut to its width. */
export const lineText = (line: Line, options: TableOptions): string => {
  let room = options.columns
  let text = ""
  for (const { style = "plain", text: whole } of line) {
    const shown = cut(whole, room, room > 1 ? moreIn(options) : "")
    const codes = [STYLES[style].always, options.colour === false ? "" : STYLES[style].colour].filter((code) =>
      code !== ""
    )
    room -= widthOf(shown)
    text += codes.length === 0 || shown.trim() === "" ? shown : `\u001b[${codes.join(";")}m${shown}\u001b[m`
    if (shown !== whole) break
  }
  return text.trimEnd()
}

/** As many lines as fit. Where some do not, the last one says how many more there are: at least two. */
export const fitting = (
  lines: ReadonlyArray<Line>,
  room: number,
  more: (hidden: number) => Line
): ReadonlyArray<Line> => lines.length <= room ? lines : [...lines.slice(0, room - 1), more(lines.length - room + 1)]

/** What begins a line that says how many there are more. */
export const dotsIn = ({ unicode = true }: TableOptions): string => unicode ? "…" : "..."

/** What stands for a text that is left out. */
export const moreIn = ({ unicode = true }: TableOptions): string => unicode ? "…" : "~"
