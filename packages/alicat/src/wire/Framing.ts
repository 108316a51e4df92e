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
  private pending: Array<number> = []

  /** The lines that this chunk completes, without their CR. */
  push(chunk: Uint8Array): Array<Uint8Array> {
    const lines: Array<Uint8Array> = []
    for (const byte of chunk) {
      if (byte === PADDING) continue
      if (byte !== CR) this.pending.push(byte)
      else if (this.pending.length === 0) continue
      if (byte === CR || this.pending.length === MAX_LINE_BYTES) {
        const line = clean(this.pending)
        if (line.length > 0) lines.push(line)
        this.pending = []
      }
    }
    return lines
  }

  /** A line that is not complete yet, clean; null if there is none. */
  get incomplete(): Uint8Array | null {
    const line = clean(this.pending)
    return line.length === 0 ? null : line
  }

  /** Discards an incomplete line. */
  reset(): void {
    this.pending = []
  }
}

/** The line without noise before it, and without control characters after it. */
const clean = (bytes: ReadonlyArray<number>): Uint8Array => {
  let [from, to] = [0, bytes.length]
  while (from < to && !isPrintable(bytes[from]!)) from++
  while (to > from && isControl(bytes[to - 1]!)) to--
  // A byte of noise right before a space may stand for a unit id. Without it, the line would look like a pushed one.
  if (from > 0 && bytes[from] === SPACE && !isControl(bytes[from - 1]!)) from--
  return Uint8Array.from(bytes.slice(from, to))
}

const isControl = (byte: number): boolean => byte < SPACE

const isPrintable = (byte: number): boolean => byte >= SPACE && byte < 0x7f

/** The text of a line, or `MalformedReply` if a byte is not ASCII. */
export const lineText = (bytes: Uint8Array): Result.Result<string, MalformedReply> => {
  for (const byte of bytes) if (byte >= 0x80) return Result.fail(new MalformedReply({ expected: "ASCII", bytes }))
  return Result.succeed(String.fromCharCode(...bytes))
}

/** A command as bytes. */
export const encodeCommand = (command: string): Uint8Array => Buffer.from(`${command}\r`, "latin1")

/** Whether a line rejects a command: `?` or `<unit id> ?`. */
export const isRejection = (text: string): boolean => /^\s*(?:[A-Z]\s+)?\?\s*$/.test(text)
