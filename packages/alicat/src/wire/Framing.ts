/**
 * Bytes to lines and back: the only place that knows how the wire separates them. ASCII, one CR behind each command and each
 * line of a reply; 0x08 is padding of old firmware and is deleted.
 */
import { Result } from "effect"
import { MalformedReply } from "./WireError.ts"

const CR = 0x0d
const PADDING = 0x08

/** A device that never sends a CR must not fill the memory: after this many bytes a line ends anyway. */
export const MAX_LINE_BYTES = 512

/** Cuts a stream of bytes into lines, wherever the chunks happen to be cut. */
export class LineSplitter {
  private pending: Array<number> = []

  /** The lines that are complete with this chunk, without their CR. */
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

  /** Forgets a line that was begun. */
  reset(): void {
    this.pending = []
  }
}

/** The text of a line, or `MalformedReply` where a byte is not ASCII. */
export const lineText = (bytes: Uint8Array): Result.Result<string, MalformedReply> => {
  for (const byte of bytes) if (byte >= 0x80) return Result.fail(new MalformedReply({ expected: "ASCII", bytes }))
  return Result.succeed(String.fromCharCode(...bytes))
}

/** A command as bytes. */
export const encodeCommand = (command: string): Uint8Array => Buffer.from(`${command}\r`, "latin1")

/** Whether a line says that the device knows no such command: `?` or `<unit id> ?`. */
export const isRejection = (text: string): boolean => /^\s*(?:[A-Z]\s+)?\?\s*$/.test(text)
