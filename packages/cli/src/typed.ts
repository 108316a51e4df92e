/**
 * What a terminal sends, told apart: keys, and characters that were pasted, which are no keys.
 *
 * A terminal that is asked to says where pasted text begins and ends. One that cannot sends it like keys, all at once. So what comes
 * behind a line end that did not come alone is left out, until nothing more comes.
 */
export interface Typed {
  /** A character, or the sequence of bytes for a key such as an arrow. */
  readonly text: string
  readonly isPasted: boolean
}

export const ESCAPE = "\u001b"
/** What a terminal sends around pasted text. */
const PASTE = `${ESCAPE}[200~`
const PASTED = `${ESCAPE}[201~`

/** A sequence may also be cut off by the end of what has come. */
const KEY = new RegExp(`${ESCAPE}(?:\\[[0-?]*[ -/]*(?:[@-~]|$)|O.)|[^]`, "gu")
const CUT_OFF = new RegExp(`^${ESCAPE}\\[[0-?]*[ -/]*$`, "u")

export const isLineEnd = (text: string): boolean => text === "\r" || text === "\n"

export class TypedText {
  private isPasting = false
  /** Whether what comes is left out. */
  private isTooMuch = false
  /** A sequence whose rest has not come yet. */
  private begun = ""

  /** What has come since the last call; empty if nothing has. */
  read(text: string): ReadonlyArray<Typed> {
    if (text === "") this.isTooMuch = false
    else this.begun += text
    const found = this.begun.match(KEY) ?? []
    this.begun = ""
    return found.flatMap((key, at): ReadonlyArray<Typed> => {
      const isLast = at === found.length - 1
      if (isLast && (CUT_OFF.test(key) || (this.isPasting && key === ESCAPE))) this.begun = key
      else if (key === PASTE) this.isPasting = true
      else if (key === PASTED) this.isPasting = false
      else if (this.isPasting) return [{ text: key, isPasted: true }]
      else if (!this.isTooMuch) {
        this.isTooMuch = isLineEnd(key) && found.length > 1
        return [{ text: key, isPasted: false }]
      }
      return []
    })
  }
}
