/**
 * Replies that give no value. The callers know the device and the port, and name them.
 */
import { Schema } from "effect"

/** A reply of the wrong form: noise, a cut line, or two devices that answer at once. */
export class MalformedReply extends Schema.TaggedError<MalformedReply>()("MalformedReply", {
  /** What was expected, e.g. `a number for Mass_Flow`. */
  expected: Schema.String,
  /** The bytes of the line, without CR. */
  bytes: Schema.Uint8Array
}) {
  override get message() {
    return `malformed reply ${quoteBytes(this.bytes)}: expected ${this.expected}`
  }
}

/** The device rejected the command with `?`. */
export class RejectedCommand extends Schema.TaggedError<RejectedCommand>()("RejectedCommand", {
  command: Schema.String
}) {
  override get message() {
    return `the command ${JSON.stringify(this.command)} was rejected`
  }
}

/** Bytes as quoted text. Bytes that are not ASCII become `\xNN`. */
export const quoteBytes = (bytes: Uint8Array): string =>
  `"${
    Array.from(bytes, (byte) =>
      byte === 0x22 || byte === 0x5c
        ? `\\${String.fromCharCode(byte)}`
        : byte >= 0x20 && byte < 0x7f
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, "0")}`).join("")
  }"`
