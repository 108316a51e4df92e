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
const SAMPLE_WITH_NOTES = 1
const EVENT = 2

/** What a value is. */
const NUMBER = 0
const TEXT = 1
const NULL = 2
const UNDEFINED = 3

/** Numbers of a sample before its values. */
const FIXED = 7
const NO_TICK = -1

/** version, 3 unused bytes, items, numbers, kinds: 32 bits each. */
const HEADER = 16

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
    numbers[number] = idOf(item)
    numbers[number + 1] = item.sequence
    numbers[number + 2] = item.tick ?? NO_TICK
    numbers[number + 3] = item.requestedAt
    numbers[number + 4] = item.receivedAt
    numbers[number + 5] = item.requestedMonotonicNanos
    numbers[number + 6] = item.receivedMonotonicNanos
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
  if (bytes[0] !== VERSION) throw new Error(`packed by another version: ${bytes[0]}`)
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
    const source = sourceOf(numbers[number]!)
    if (run === undefined || source === undefined) return null
    const { device, format, unitId } = source
    const values: Array<FrameValue> = []
    for (let at = number + FIXED; values.length < format.fields.length; at++) {
      const what = kinds[kind++]
      values.push(
        what === NUMBER ? numbers[at]! : what === TEXT ? texts[text++] as string : what === NULL ? null : undefined
      )
    }
    const tick = numbers[number + 2]!
    items.push(
      new Sample({
        run,
        device,
        unitId,
        sequence: numbers[number + 1]!,
        tick: tick === NO_TICK ? null : tick,
        requestedAt: numbers[number + 3]!,
        receivedAt: numbers[number + 4]!,
        requestedMonotonicNanos: numbers[number + 5]!,
        receivedMonotonicNanos: numbers[number + 6]!,
        frame: { format, values, status, fieldFailures }
      })
    )
    number += FIXED + values.length
  }
  return items
}

type Notes = readonly [status: ReadonlyArray<string>, fieldFailures?: ReadonlyArray<FieldFailure>]

const NO_NOTES: Notes = [[]]

/** Bytes whose checksum depends on their place, so that one cannot stand for another. */
export const checksum = (bytes: Uint8Array | string, place: number): number => crc32(bytes, place >>> 0)
