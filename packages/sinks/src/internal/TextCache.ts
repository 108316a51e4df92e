/**
 * Texts in the form in which they are written, kept by their value. Names, gases and status codes are the same few in all rows,
 * and mostly the same as in the row before. A full cache forgets the texts that were not used since it was full before.
 */
import type { Ready } from "./ByteBuffer.ts"

/** More than a recording has devices, gases and status codes. */
const MAX_TEXTS = 1500
const MAX_LENGTH = 100

interface Known {
  readonly text: string
  readonly ready: Ready
}

export class TextCache {
  private readonly last: Array<Known | undefined> = []
  private known = new Map<string, Known>()
  /** Those that were known when the cache was full. */
  private before = new Map<string, Known>()
  private readonly write: (text: string) => Ready

  constructor(write: (text: string) => Ready) {
    this.write = write
  }

  /** `at` is the text's place in its row. */
  get(text: string, at: number): Ready {
    const last = this.last[at]
    if (last !== undefined && last.text === text) return last.ready
    const found = this.known.get(text) ?? this.remembered(text)
    this.last[at] = found
    return found.ready
  }

  private remembered(text: string): Known {
    const found = this.before.get(text) ?? { text, ready: this.write(text) }
    if (text.length > MAX_LENGTH) return found
    if (this.known.size === MAX_TEXTS) {
      this.before = this.known
      this.known = new Map()
    }
    this.known.set(text, found)
    return found
  }
}
