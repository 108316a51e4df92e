/**
 * Rows as JSON text, one object a line.
 */
import { type CellWriter, type FrameFormat, type RowOptions, rowWriter, type Sample } from "@sampleline/core"
import { type Ready, ready } from "./ByteBuffer.ts"
import { TextBuffer } from "./TextBuffer.ts"
import { TextCache } from "./TextCache.ts"

const QUOTE = 0x22
const NULL = ready("null")
const END = ready("}\n")

/** Each format has a plan, which is made once. */
export class JsonlCells implements CellWriter {
  readonly buffer = new TextBuffer()
  private readonly plans = new WeakMap<FrameFormat, ReturnType<typeof planOf>>()
  private readonly options: RowOptions
  private readonly texts = new TextCache((text) => ready(JSON.stringify(text.toWellFormed())))
  private keys: ReadonlyArray<Ready> = []
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
    this.keys = plan.keys
    this.at = 0
    plan.write(sample, this)
    this.buffer.ready(END)
  }

  number(value: number): void {
    this.key()
    this.buffer.number(value)
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

  private key(): void {
    this.buffer.ready(this.keys[this.at++]!)
  }
}

/** The text before each value: its key, and the comma after the value before. */
const planOf = (format: FrameFormat, options: RowOptions) => {
  const { columns, write } = rowWriter(format, options)
  const keys = columns.map(({ name }, at) => ready(`${at === 0 ? "{" : ","}${JSON.stringify(name)}:`))
  return { keys, write }
}
