/**
 * Rows as CSV text. Each cell is followed by a comma; the last comma of a row becomes the end of the line.
 */
import type { CellWriter, Sample, SchemaLock } from "@sampleline/core"
import { ready } from "./ByteBuffer.ts"
import { TextBuffer } from "./TextBuffer.ts"
import { TextCache } from "./TextCache.ts"

const COMMA = 0x2c
const NEWLINE = 0x0a

export class CsvCells implements CellWriter {
  readonly buffer = new TextBuffer()
  private readonly texts = new TextCache((text) => ready(`${quoted(text.toWellFormed())},`))

  private textsInRow = 0

  row(texts: ReadonlyArray<string>): void {
    for (const text of texts) this.text(text)
    this.buffer.lastByte(NEWLINE)
  }

  sample(lock: SchemaLock, sample: Sample): void {
    this.textsInRow = 0
    lock.write(sample, this)
    this.buffer.lastByte(NEWLINE)
  }

  float(value: number): void {
    this.buffer.float(value)
    this.buffer.byte(COMMA)
  }

  int(value: number): void {
    this.buffer.int(value)
    this.buffer.byte(COMMA)
  }

  text(value: string): void {
    this.buffer.ready(this.texts.get(value, this.textsInRow++))
  }

  timestamp(micros: number): void {
    this.buffer.timestamp(micros)
    this.buffer.byte(COMMA)
  }

  missing(): void {
    this.buffer.byte(COMMA)
  }
}

/** NUL is quoted too: outside quotes it is what a power cut leaves behind. */
const quoted = (text: string): string => /[",\n\r\0]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
