/**
 * Bytes to lines and back. The wire is ASCII, with one CR after each command and each line of a reply. Old firmware pads lines
 * with 0x08, which is deleted.
 */
import { Result } from "effect"
import { MalformedReply } from "./WireError.ts"

const CR = 0x0d
const PADDING = 0x08

/** A line ends after this many bytes even without a CR, so that noise cannot fill the memory. */
export const MAX_LINE_BYTES = 512

/** Splits bytes into lines, however they are cut into chunks. */
export class LineSplitter {
  private pending: Array<number> = []

  /** The lines that this chunk completes, without their CR. */
  push(chunk: Uint8Array): Array<Uint8Array> {
    const lines: Array<Uint8Array> = []
    for (const byte of chunk) {
      if (byte === PADDING) continue
      if (byte !== CR) this.pending.push(byte)
      if (byte === CR || this.pending.length === MAX_LINE_BYTES) {
        lines.push(Uint8Array.from(this.pending))
        this.pending = []
      }
    }
    return lines
  }

  /** Discards an incomplete line. */
  reset(): void {
    this.pending = []
  }
}

/** The text of a line, or `MalformedReply` if a byte is not ASCII. */
export const lineText = (bytes: Uint8Array): Result.Result<string, MalformedReply> => {
  for (const byte of bytes) if (byte >= 0x80) return Result.fail(new MalformedReply({ expected: "ASCII", bytes }))
  return Result.succeed(String.fromCharCode(...bytes))
}

/** A command as bytes. */
export const encodeCommand = (command: string): Uint8Array => Buffer.from(`${command}\r`, "latin1")

/** Whether a line rejects a command: `?` or `<unit id> ?`. */
export const isRejection = (text: string): boolean => /^\s*(?:[A-Z]\s+)?\?\s*$/.test(text)
