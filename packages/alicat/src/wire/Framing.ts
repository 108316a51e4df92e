/**
 * Bytes to lines and back. The wire is ASCII, with one CR after each command and each line of a reply.
 *
 * Here lines are cleaned, whoever sends them and why:
 * - Old firmware pads lines with 0x08.
 * - Serial servers send CR LF or CR NUL for a CR.
 * - When a bus turns around, or a server begins to talk, there is noise before a line: NUL, 0xFF and the like.
 *
 * A byte of noise within a line stays, because it may stand for a digit.
 */
import { Result } from "effect"
import { MalformedReply } from "./WireError.ts"

export const CR = 0x0d
const SPACE = 0x20
const PADDING = 0x08

/** A line ends after this many bytes even without a CR, so that noise cannot fill the memory. */
export const MAX_LINE_BYTES = 512

/** Splits bytes into clean lines, however they are cut into chunks. Empty lines are dropped. */
export class LineSplitter {
  private readonly pending = new Uint8Array(MAX_LINE_BYTES)
  private length = 0

  /** The lines that this chunk completes, without their CR. */
  push(chunk: Uint8Array): Array<Uint8Array> {
    const lines: Array<Uint8Array> = []
    for (const byte of chunk) {
      if (byte === PADDING) continue
      if (byte !== CR) this.pending[this.length++] = byte
      if (byte === CR || this.length === MAX_LINE_BYTES) {
        const line = this.clean()
        if (line.length > 0) lines.push(line)
        this.length = 0
      }
    }
    return lines
  }

  /** A line that is not complete yet, clean; null if there is none. */
  get incomplete(): Uint8Array | null {
    const line = this.clean()
    return line.length === 0 ? null : line
  }

  /** Discards an incomplete line. */
  reset(): void {
    this.length = 0
  }

  /** The line without noise before it, and without control characters after it. */
  private clean(): Uint8Array {
    const { pending } = this
    let [from, to] = [0, this.length]
    while (from < to && !isPrintable(pending[from]!)) from++
    while (to > from && isControl(pending[to - 1]!)) to--
    // A byte of noise right before a space may stand for a unit id. Without it, the line would look like a pushed one.
    if (from > 0 && from < to && pending[from] === SPACE && !isControl(pending[from - 1]!)) from--
    return pending.slice(from, to)
  }
}

const isControl = (byte: number): boolean => byte < SPACE

const isPrintable = (byte: number): boolean => byte >= SPACE && byte < 0x7f

/** The text of a line, a character for each byte: noise stays what it is, a letter that no number and no text has. */
export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

/** Whether a text has no byte of noise. */
export const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text)

/** The text of a line, or `MalformedReply` if a byte is not ASCII. */
export const lineText = (bytes: Uint8Array): Result.Result<string, MalformedReply> => {
  const text = textOf(bytes)
  return isAscii(text) ? Result.succeed(text) : Result.fail(new MalformedReply({ expected: "ASCII", bytes }))
}

/** A command as bytes. */
export const encodeCommand = (command: string): Uint8Array => Buffer.from(`${command}\r`, "latin1")

/** Whether a line rejects a command: `?` or `<unit id> ?`. */
export const isRejection = (text: string): boolean => /^\s*(?:[A-Z]\s+)?\?\s*$/.test(text)
