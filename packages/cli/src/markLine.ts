/**
 * The line in which a user writes the text of a mark. It is edited in place: backspace, and Ctrl-U for all of it. Escape cancels, and
 * Enter sets the mark. Without a text it is called "mark", so that `m` and Enter are enough in a hurry.
 */
import { widthOf } from "@sampleline/view"

const ESCAPE = "\u001b"

/** A character, or the sequence of bytes for a key such as an arrow. */
const KEY = new RegExp(`${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|O.)|[^]`, "gu")

export const keysOf = (typed: string): ReadonlyArray<string> => typed.match(KEY) ?? []

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
  press(key: string): string | null | undefined {
    switch (key) {
      case "\r":
      case "\n":
        return this.text.trim() || NAMELESS
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
    if (!/\p{Cc}/u.test(key) && this.text.length < LONGEST) this.text += key
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
