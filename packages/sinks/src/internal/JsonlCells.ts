/**
 * Rows as JSON text, one object a line. JSON has no NaN and no infinities: they become null, and are counted.
 */
import {
  type CellWriter,
  DroppedValues,
  type FrameFormat,
  type RowOptions,
  rowWriter,
  type Sample
} from "@sampleline/core"
import { type Ready, ready } from "./ByteBuffer.ts"
import { TextBuffer } from "./TextBuffer.ts"
import { TextCache } from "./TextCache.ts"

const QUOTE = 0x22
const NULL = ready("null")
const END = ready("}\n")

/** Each format has a plan, which is made once. */
export class JsonlCells implements CellWriter {
  readonly buffer = new TextBuffer()
  readonly dropped = new DroppedValues()
  private readonly plans = new WeakMap<FrameFormat, ReturnType<typeof planOf>>()
  private readonly options: RowOptions
  private readonly texts = new TextCache((text) => ready(JSON.stringify(text.toWellFormed())))
  private columns: ReturnType<typeof planOf>["columns"] = []
  private at = 0

  constructor(options: RowOptions) {
    this.options = options
  }

  sample(sample: Sample): void {
    const { format } = sample.frame
    let plan = this.plans.get(format)
    if (plan === undefined) {
      plan = planOf(format, this.options)
      this.plans.set(format, plan)
    }
    this.columns = plan.columns
    this.at = 0
    plan.write(sample, this)
    this.buffer.ready(END)
  }

  float(value: number): void {
    if (!Number.isFinite(value)) return this.drop("JSON has no NaN and no infinities")
    this.key()
    this.buffer.float(value)
  }

  int(value: number): void {
    if (!Number.isInteger(value)) return this.drop("its values are whole numbers")
    this.key()
    this.buffer.int(value)
  }

  text(value: string): void {
    this.key()
    this.buffer.ready(this.texts.get(value, this.at))
  }

  timestamp(micros: number): void {
    this.key()
    this.buffer.byte(QUOTE)
    this.buffer.timestamp(micros)
    this.buffer.byte(QUOTE)
  }

  missing(): void {
    this.key()
    this.buffer.ready(NULL)
  }

  private drop(why: string): void {
    this.dropped.count(this.columns[this.at]!.name, why)
    this.missing()
  }

  private key(): void {
    this.buffer.ready(this.columns[this.at++]!.key)
  }
}

/** `key` is the text before a value: its key, and the comma after the value before. */
const planOf = (format: FrameFormat, options: RowOptions) => {
  const { columns, write } = rowWriter(format, options)
  return {
    write,
    columns: columns.map(({ name }, at): { readonly name: string; readonly key: Ready } => ({
      name,
      key: ready(`${at === 0 ? "{" : ","}${JSON.stringify(name)}:`)
    }))
  }
}
