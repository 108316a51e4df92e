/**
 * Rows of a batch in the format of COPY ... (FORMAT binary): the server's own binary format of each type. Pure.
 */
import type { CellWriter, Sample, SchemaLock } from "@sampleline/core"
import { ByteBuffer, readyBytes } from "./ByteBuffer.ts"
import { type PostgresKind, storable } from "./PostgresTypes.ts"
import { TextCache } from "./TextCache.ts"

const SIGNATURE = readyBytes(Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1"))
/** 2000-01-01, the server's epoch, in microseconds since 1970. */
const EPOCH_MICROS = 946_684_800_000_000

export class CopyBuffer extends ByteBuffer implements CellWriter {
  private readonly kinds: ReadonlyArray<PostgresKind>
  /** The column of the next cell. */
  private at = 0
  private readonly texts = new TextCache((text) => {
    const bytes = Buffer.from(`\0\0\0\0${storable(text)}`)
    bytes.writeInt32BE(bytes.length - 4)
    return readyBytes(bytes)
  })

  constructor(kinds: ReadonlyArray<PostgresKind>) {
    super()
    this.kinds = kinds
  }

  /** All rows of a batch, with header and trailer. Valid until the next call. */
  encode(lock: SchemaLock, batch: Iterable<Sample>): Buffer {
    this.clear()
    this.ready(SIGNATURE)
    for (const sample of batch) {
      this.ensure(0)
      this.int16(this.kinds.length)
      this.at = 0
      lock.write(sample, this)
    }
    this.ensure(0)
    this.int16(-1)
    return this.content()
  }

  float(value: number): void {
    this.value(this.kinds[this.at++]!, value)
  }

  int(value: number): void {
    this.value(this.kinds[this.at++]!, value)
  }

  timestamp(micros: number): void {
    this.value(this.kinds[this.at++]!, micros)
  }

  text(value: string): void {
    this.value(this.kinds[this.at++]!, value)
  }

  missing(): void {
    this.at++
    this.ensure(0)
    this.int32(-1)
  }

  private value(kind: PostgresKind, cell: number | string): void {
    this.ensure(0)
    switch (kind) {
      case "float8":
        this.int32(8)
        this.view.setFloat64(this.end, cell as number)
        this.end += 8
        return
      case "float4":
        this.int32(4)
        this.view.setFloat32(this.end, cell as number)
        this.end += 4
        return
      case "int2":
        this.int32(2)
        this.int16(cell as number)
        return
      case "int4":
        this.int32(4)
        this.int32(cell as number)
        return
      case "int8":
        this.int64(cell as number)
        return
      case "timestamptz":
      case "timestamp":
        this.int64((cell as number) - EPOCH_MICROS)
        return
      case "bool":
        this.int32(1)
        this.view.setInt8(this.end++, cell as number)
        return
      case "numeric":
        return this.numeric(cell as number)
      case "uuid":
        this.int32(16)
        this.end += this.bytes.write(String(cell).replaceAll("-", ""), this.end, "hex")
        return
      case "jsonb":
        // The version of the format, then the text.
        return this.ready(this.texts.get(`\u0001${cell}`, this.at))
      case "json":
      case "text":
        return this.ready(this.texts.get(String(cell), this.at))
    }
  }

  private int16(value: number): void {
    this.view.setInt16(this.end, value)
    this.end += 2
  }

  private int32(value: number): void {
    this.view.setInt32(this.end, value)
    this.end += 4
  }

  /** With its length before it. Written in two halves: several times faster than with a BigInt. */
  private int64(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000)
    this.int32(8)
    this.int32(high)
    this.view.setUint32(this.end, value - high * 0x1_0000_0000)
    this.end += 4
  }

  /** Digits to base 10000, from the shortest decimal that gives this double. */
  private numeric(value: number): void {
    const { digits, scale, weight } = numericDigits(value)
    this.ensure(2 * digits.length)
    this.int32(8 + 2 * digits.length)
    for (const part of [digits.length, weight, value < 0 ? 0x4000 : 0, scale, ...digits]) this.int16(part)
  }
}

const numericDigits = (value: number) => {
  const [mantissa = "", exponent = "0"] = String(Math.abs(value)).split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  const shift = Number(exponent)
  const decimals = `${whole}${fraction}`
  // How many decimals are before the point. Below zero: how many zeros follow the point first.
  const point = whole.length + shift
  const padded = point <= 0 ? "0".repeat(-point) + decimals : decimals.padEnd(point, "0")
  const before = point <= 0 ? "" : padded.slice(0, point)
  const after = point <= 0 ? padded : padded.slice(point)
  const groups = [
    ...groupsOf(before.padStart(Math.ceil(before.length / 4) * 4, "0")),
    ...groupsOf(after.padEnd(Math.ceil(after.length / 4) * 4, "0"))
  ]
  let weight = Math.ceil(before.length / 4) - 1
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift()
    weight--
  }
  while (groups.at(-1) === 0) groups.pop()
  return { digits: groups, weight: groups.length === 0 ? 0 : weight, scale: after.length }
}

const groupsOf = (decimals: string): Array<number> =>
  Array.from({ length: decimals.length / 4 }, (_, at) => Number(decimals.slice(at * 4, at * 4 + 4)))
