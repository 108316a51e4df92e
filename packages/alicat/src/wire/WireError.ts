/**
 * Replies without a value. Callers add the device and the port to the error.
 */
import { Schema } from "effect"

/** A reply that does not have the expected form: line noise, a cut line, or two devices that talk at once. */
export class MalformedReply extends Schema.TaggedError<MalformedReply>()("MalformedReply", {
  /** What was expected, e.g. `a number for Mass_Flow`. */
  expected: Schema.String,
  /** The bytes as they came, without the CR. */
  bytes: Schema.Uint8Array
}) {
  override get message() {
    return `malformed reply ${quoteBytes(this.bytes)}: expected ${this.expected}`
  }
}

/** The device does not know the command: it answered `?`. */
export class RejectedCommand extends Schema.TaggedError<RejectedCommand>()("RejectedCommand", {
  command: Schema.String
}) {
  override get message() {
    return `the command ${JSON.stringify(this.command)} was rejected`
  }
}

/** Bytes as quoted text: ASCII as it is, everything else as `\xNN`. */
export const quoteBytes = (bytes: Uint8Array): string =>
  `"${
    Array.from(bytes, (byte) =>
      byte === 0x22 || byte === 0x5c
        ? `\\${String.fromCharCode(byte)}`
        : byte >= 0x20 && byte < 0x7f
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, "0")}`).join("")
  }"`
