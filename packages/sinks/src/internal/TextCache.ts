/**
 * Texts in the form in which they are written, kept by their value. Names, gases and status codes are the same few in all rows,
 * and mostly the same as in the row before. The cache is emptied when it is full.
 */
import type { Ready } from "./ByteBuffer.ts"

const MAX_TEXTS = 1000
const MAX_LENGTH = 100

export class TextCache {
  private readonly last: Array<{ readonly text: string; readonly ready: Ready } | undefined> = []
  private readonly known = new Map<string, { readonly text: string; readonly ready: Ready }>()
  private readonly write: (text: string) => Ready

  constructor(write: (text: string) => Ready) {
    this.write = write
  }

  /** `at` is the text's place in its row. */
  get(text: string, at: number): Ready {
    const last = this.last[at]
    if (last !== undefined && last.text === text) return last.ready
    const found = this.known.get(text) ?? { text, ready: this.write(text) }
    this.last[at] = found
    if (this.known.size === MAX_TEXTS) this.known.clear()
    if (text.length <= MAX_LENGTH) this.known.set(text, found)
    return found.ready
  }
}
