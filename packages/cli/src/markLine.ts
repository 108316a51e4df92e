/**
 * The line in which a user writes the text of a mark. It is edited in place: backspace, and Ctrl-U for all of it. Escape cancels, and
 * Enter sets the mark. Without a text it is called "mark", so that `m` and Enter are enough in a hurry. Pasted text is text only: its
 * line ends become spaces.
 */
import { widthOf } from "@sampleline/view"
import { ESCAPE, isLineEnd, type Typed } from "./typed.ts"

const NAMELESS = "mark"
const LONGEST = 500

export class MarkLine {
  /** When the mark was begun, in microseconds since the epoch. */
  readonly at: number
  text = ""

  constructor(at: number) {
    this.at = at
  }

  /** The text of the mark when the key sets it; null when the key cancels it; else undefined. */
  press({ isPasted, text: key }: Typed): string | null | undefined {
    if (isPasted) return this.add(isLineEnd(key) ? " " : key)
    if (isLineEnd(key)) return this.text.trim() || NAMELESS
    switch (key) {
      case ESCAPE:
        return null
      case "\u007f":
      case "\b":
        this.text = [...new Intl.Segmenter().segment(this.text)].slice(0, -1).map(({ segment }) => segment).join("")
        return
      case "\u0015":
        this.text = ""
        return
    }
    this.add(key)
  }

  private add(text: string): undefined {
    if (!/\p{Cc}/u.test(text) && this.text.length < LONGEST) this.text += text
  }
}

/** The end of the text that fits so many columns. */
export const endOf = (text: string, columns: number): string => {
  const characters = Array.from(text)
  let room = columns
  let first = characters.length
  while (first > 0) {
    room -= widthOf(characters[first - 1]!)
    if (room < 0) break
    first--
  }
  return characters.slice(first).join("")
}
