/**
 * An append as bytes, and back. Pure.
 *
 * The numbers of all samples are one block of 64-bit floats, so that NaN, the infinities and -0 stay what they are. One byte a value says
 * whether it is a number, a text, null or undefined. Texts and events are JSON behind them. Numbers are in the machine's byte
 * order, little-endian on all that Node runs on today but one; the version byte tells them apart.
 */
import { type FieldFailure, type FrameFormat, type FrameValue, type Run, type RunEvent, Sample } from "@sampleline/core"
import { crc32 } from "node:zlib"

/** Samples that differ by nothing but their readings have one source: a device and its format. */
export interface Source {
  readonly device: string
  readonly unitId: string
  readonly format: FrameFormat
}

export type Item = Sample | RunEvent

const VERSION = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 129

/** What an item is. */
const SAMPLE = 0
export const SAMPLE_WITH_NOTES = 1
export const EVENT = 2

/** What a value is. */
export const NUMBER = 0
export const TEXT = 1
const NULL = 2
const UNDEFINED = 3

/** Where the numbers of a sample are, and how many there are before its values. */
export const AT = {
  source: 0,
  sequence: 1,
  tick: 2,
  requestedAt: 3,
  receivedAt: 4,
  requestedMonotonicNanos: 5,
  receivedMonotonicNanos: 6
} as const
export const FIXED = 7
export const NO_TICK = -1

/** version, 3 unused bytes, items, numbers, kinds: 32 bits each. */
export const HEADER = 16

/** Packs items. `idOf` gives the number of a sample's source. */
export const pack = (items: ReadonlyArray<Item>, idOf: (sample: Sample) => number): Uint8Array => {
  let numberCount = 0
  let kindCount = items.length
  for (const item of items) {
    if (!(item instanceof Sample)) continue
    const fields = item.frame.format.fields.length
    numberCount += FIXED + fields
    kindCount += fields
  }
  const kindsAt = HEADER + 8 * numberCount
  const bytes = new Uint8Array(kindsAt + kindCount)
  bytes[0] = VERSION
  new Uint32Array(bytes.buffer, 4, 3).set([items.length, numberCount, kindCount])
  const numbers = new Float64Array(bytes.buffer, HEADER, numberCount)
  const kinds = bytes.subarray(kindsAt)
  const texts: Array<unknown> = []
  let number = 0
  let kind = 0
  for (const item of items) {
    if (!(item instanceof Sample)) {
      kinds[kind++] = EVENT
      texts.push(item)
      continue
    }
    const { fieldFailures, format, status, values } = item.frame
    const hasNotes = status.length > 0 || fieldFailures !== undefined
    kinds[kind++] = hasNotes ? SAMPLE_WITH_NOTES : SAMPLE
    if (hasNotes) texts.push(fieldFailures === undefined ? [status] : [status, fieldFailures])
    numbers[number + AT.source] = idOf(item)
    numbers[number + AT.sequence] = item.sequence
    numbers[number + AT.tick] = item.tick ?? NO_TICK
    numbers[number + AT.requestedAt] = item.requestedAt
    numbers[number + AT.receivedAt] = item.receivedAt
    numbers[number + AT.requestedMonotonicNanos] = item.requestedMonotonicNanos
    numbers[number + AT.receivedMonotonicNanos] = item.receivedMonotonicNanos
    number += FIXED
    for (let at = 0; at < format.fields.length; at++, number++) {
      const value = values[at]
      if (typeof value === "number") numbers[number] = value
      else if (typeof value === "string") texts.push(value)
      kinds[kind++] = typeof value === "number"
        ? NUMBER
        : typeof value === "string"
        ? TEXT
        : value === null
        ? NULL
        : UNDEFINED
    }
  }
  return texts.length === 0 ? bytes : Buffer.concat([bytes, Buffer.from(JSON.stringify(texts))])
}

/** The items of an append; null if their run or a source is not known. Throws if the bytes are not those of `pack`. */
export const unpack = (
  bytes: Uint8Array,
  run: Run | undefined,
  sourceOf: (id: number) => Source | undefined
): Array<Item> | null => {
  checkVersion(bytes)
  // A copy is aligned.
  const { buffer } = Uint8Array.from(bytes)
  const [itemCount = 0, numberCount = 0, kindCount = 0] = new Uint32Array(buffer, 4, 3)
  const kindsAt = HEADER + 8 * numberCount
  const numbers = new Float64Array(buffer, HEADER, numberCount)
  const kinds = new Uint8Array(buffer, kindsAt, kindCount)
  const texts: ReadonlyArray<unknown> = kindsAt + kindCount === buffer.byteLength
    ? []
    : JSON.parse(Buffer.from(buffer, kindsAt + kindCount).toString())
  let number = 0
  let kind = 0
  let text = 0
  const items: Array<Item> = []
  while (items.length < itemCount) {
    const what = kinds[kind++]
    if (what === EVENT) {
      items.push(texts[text++] as RunEvent)
      continue
    }
    const [status, fieldFailures] = what === SAMPLE_WITH_NOTES ? texts[text++] as Notes : NO_NOTES
    const source = sourceOf(numbers[number + AT.source]!)
    if (run === undefined || source === undefined) return null
    const { device, format, unitId } = source
    const values: Array<FrameValue> = []
    for (let at = number + FIXED; values.length < format.fields.length; at++) {
      const what = kinds[kind++]
      values.push(
        what === NUMBER ? numbers[at]! : what === TEXT ? texts[text++] as string : what === NULL ? null : undefined
      )
    }
    const tick = numbers[number + AT.tick]!
    items.push(
      new Sample({
        run,
        device,
        unitId,
        sequence: numbers[number + AT.sequence]!,
        tick: tick === NO_TICK ? null : tick,
        requestedAt: numbers[number + AT.requestedAt]!,
        receivedAt: numbers[number + AT.receivedAt]!,
        requestedMonotonicNanos: numbers[number + AT.requestedMonotonicNanos]!,
        receivedMonotonicNanos: numbers[number + AT.receivedMonotonicNanos]!,
        frame: { format, values, status, fieldFailures }
      })
    )
    number += FIXED + values.length
  }
  return items
}

export type Notes = readonly [status: ReadonlyArray<string>, fieldFailures?: ReadonlyArray<FieldFailure>]

const NO_NOTES: Notes = [[]]

/** Throws if the bytes are not those of `pack`. */
export const checkVersion = (bytes: Uint8Array): void => {
  if (bytes[0] !== VERSION) throw new Error(`packed by another version: ${bytes[0]}`)
}

/** Which bytes of an append tell whether it has an event, and not samples alone. */
export const COUNTS = { from: 4, length: 12 }

/** Whether an append has an event, by its `COUNTS`: a sample has six more numbers than kinds, and an event has a kind. */
export const hasEvents = (counts: Uint8Array): boolean => {
  const [items = 0, numbers = 0, kinds = 0] = new Uint32Array(Uint8Array.from(counts).buffer)
  return numbers - kinds !== (FIXED - 1) * items
}

/** Bytes whose checksum depends on their place, so that one cannot stand for another. */
export const checksum = (bytes: Uint8Array | string, place: number): number => crc32(bytes, place >>> 0)
