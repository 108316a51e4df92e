/**
 * `A` CR: one reading. The reply is one line of fields separated by runs of spaces: the unit id, the columns that the frame
 * table declares, then status codes and values of conditional columns.
 *
 *     A +014.62 +021.89 +000.00 +000.00 +078.95     N2 MOV
 *
 * `A@ @` CR makes the device send such lines by itself until `@@ A` CR. They begin with `@` or a space instead of the unit id, or
 * with the first number.
 *
 * A token that its column cannot take is a failure of that field alone, if the rest of the line is exactly as declared. Any other
 * line that does not fit is refused whole: a token was lost or added, and values would get into wrong columns.
 */
import { type FieldFailure, type Frame, type FrameField, type FrameValue, makeFrame } from "@sampleline/core"
import { Result } from "effect"
import type { FrameLayout } from "./FrameTable.ts"
import { lineText, textOf } from "./Framing.ts"
import { MalformedReply, quoteBytes } from "./WireError.ts"

export const pollCommand = (unitId: string): string => unitId

/** Makes a device send readings by itself. It gives up its unit id, and obeys nothing but the command that stops it. */
export const startStreamingCommand = (unitId: string): string => `${unitId}@ @`

/** The same for older firmware. */
export const olderStartStreamingCommand = (unitId: string): string => `${unitId}@=@`

/**
 * Set the time between readings that a device sends by itself; 0 is as fast as it can. For firmware 10v05 and newer, for older
 * firmware by a register, and for GP firmware, which takes settings only after `$$`.
 */
export const streamingIntervalCommands = (unitId: string, millis: number): ReadonlyArray<string> => [
  `${unitId}NCS ${millis}`,
  `${unitId}W91=${millis}`,
  `${unitId}$$W91=${millis}`
]

/** Stops a device that sends readings by itself, and gives its unit id back. */
export const stopStreamingCommand = (unitId: string): string => `@@ ${unitId}`

/** The same for older firmware. */
export const olderStopStreamingCommand = (unitId: string): string => `@@=${unitId}`

/** Status codes that devices send although their frame table may not declare them. */
const STATUS_CODES: ReadonlySet<string> = new Set([
  "ADC",
  "EXH",
  "HLD",
  "LCK",
  "MOV",
  "OPL",
  "OVR",
  "POV",
  "TMF",
  "TOV",
  "VOV",
  "P2O",
  "COM",
  "GTA"
])

/**
 * The frame in a poll reply. A run of dashes is an absent value (null). A trailing token that fits no conditional column is
 * kept as a status code, known or unknown. A trailing number is an error: two lines ran into one.
 */
export const decodePollLine = (
  bytes: Uint8Array,
  unitId: string,
  layout: FrameLayout
): Result.Result<Frame, MalformedReply> => {
  const [echo, ...tokens] = tokensOf(textOf(bytes))
  return echo === unitId
    ? decodeTokens(bytes, tokens, layout)
    : Result.fail(new MalformedReply({ expected: `a reply of unit ${unitId}`, bytes }))
}

/** The frame in a line that a device sent by itself. It has no unit id, so a byte of noise before it stands for none. */
export const decodePushedLine = (bytes: Uint8Array, layout: FrameLayout): Result.Result<Frame, MalformedReply> => {
  const text = textOf(bytes).replace(/^[^ -~](?= )/, "")
  return /^@?[-+ ]/.test(text)
    ? decodeTokens(bytes, tokensOf(text.replace(/^@/, "")), layout)
    : Result.fail(new MalformedReply({ expected: "a reading that begins with @, a space or a number", bytes }))
}

/**
 * Whether a line is a reading that a device sent by itself: `@ +014.62 ...`, a space for the `@`, or neither. It is never a
 * reply.
 */
export const isPushedText = (text: string): boolean => /^(?:[@ ] *[-+]?|[-+])\d/.test(text)

const tokensOf = (text: string): ReadonlyArray<string> => text.split(" ").filter((token) => token !== "")

const decodeTokens = (
  bytes: Uint8Array,
  tokens: ReadonlyArray<string>,
  layout: FrameLayout
): Result.Result<Frame, MalformedReply> => {
  const malformed = (expected: string) => Result.fail(new MalformedReply({ expected, bytes }))
  const { fields } = layout.format
  const values: Array<FrameValue> = fields.map(() => undefined)
  const status: Array<string> = []
  const failures: Array<FieldFailure> = []
  let used = 0
  for (const [at, field] of fields.entries()) {
    if (field.conditional) continue
    const token = tokens[used++]
    if (token === undefined || field.kind === "text" && isMeasured(token)) return malformed(expectedOf(field))
    const value = valueOf(token, field)
    values[at] = value ?? null
    if (value === undefined) failures.push(failureOf(token, field))
  }
  if (failures.length > 0 && !fitsExactly(tokens, used, failures.length, layout)) return malformed(failures[0]!.detail)
  let next = 0
  for (const token of tokens.slice(used)) {
    const at = isStatusCode(token, layout)
      ? -1
      : fields.findIndex((field, at) => at >= next && field.conditional && valueOf(token, field) !== undefined)
    if (at < 0 && (isNumber(token) || !isText(token))) {
      return malformed(
        `a status code after the ${used} columns, not ${
          quoteToken(token)
        }: a column is missing, or two lines ran into one`
      )
    }
    if (at < 0) status.push(token)
    else {
      values[at] = valueOf(token, fields[at]!)
      next = at + 1
    }
  }
  return Result.succeed(makeFrame(layout.format, values, status, failures.length > 0 ? failures : undefined))
}

/** The unit id, if a poll reply is of this unit. Only the first token is read. */
export const decodeUnit = (bytes: Uint8Array, unitId: string): Result.Result<string, MalformedReply> =>
  Result.flatMap(lineText(bytes), (text) =>
    text.trim().split(" ")[0] === unitId
      ? Result.succeed(unitId)
      : Result.fail(new MalformedReply({ expected: `a reply of unit ${unitId}`, bytes })))

/** Whether a poll reply has more values than the layout has columns. A status code that nobody declares is taken for a value. */
export const hasMoreValues = (bytes: Uint8Array, layout: FrameLayout): boolean => {
  const [, ...tokens] = tokensOf(textOf(bytes))
  return tokens.filter((token) => !isStatusCode(token, layout)).length > layout.format.fields.length
}

const isNumber = (token: string): boolean => /^[+-]?\d+(?:\.\d*)?$/.test(token)

const isStatusCode = (token: string, layout: FrameLayout): boolean => layout.flags.has(token) || STATUS_CODES.has(token)

const expectedOf = ({ kind, name }: FrameField): string => `${kind === "text" ? "a text" : "a number"} for ${name}`

const failureOf = (token: string, field: FrameField): FieldFailure => ({
  field: field.name,
  detail: `${expectedOf(field)} instead of ${quoteToken(token)}`
})

const quoteToken = (token: string): string => quoteBytes(Buffer.from(token, "latin1"))

/**
 * Whether no token can have been lost or added, although some are bad: only known status codes follow the columns, none is
 * among them, and at least half of the columns are good.
 */
const fitsExactly = (tokens: ReadonlyArray<string>, columns: number, bad: number, layout: FrameLayout): boolean =>
  2 * bad <= columns && tokens.every((token, at) => isStatusCode(token, layout) === at >= columns)

/** Whether a token is a measured value. In a text column it shows that a line lost its end and ran into the next one. */
const isMeasured = (token: string): boolean => /^[+-]\d+(?:\.\d*)?$|^\d+\.\d*$/.test(token)

const isText = (token: string): boolean => /^[!-~]+$/.test(token)

/** The token's value in this field, or undefined if the field cannot take it. */
const valueOf = (token: string, field: FrameField): FrameValue => {
  if (/^-+$/.test(token)) return null
  if (field.kind === "text") return isMeasured(token) || !isText(token) ? undefined : token
  return isNumber(token) ? Number(token) : undefined
}
